//! Finds placeholders for secrets in a text: `${env:NAME}` and `${file:PATH}`.

/// Returns the position of the first placeholder.
pub(super) fn next_placeholder(text: &str) -> Option<usize> {
    let starts = ["${env:", "${file:"].map(|start| text.find(start));
    starts.into_iter().flatten().min()
}

/// Returns whether the text is a single placeholder and nothing else.
pub(super) fn is_placeholder(text: &str) -> bool {
    next_placeholder(text) == Some(0) && text.find('}') == Some(text.len() - 1)
}
