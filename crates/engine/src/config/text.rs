//! Text functions of the configuration: lists and suggestions.

/// Splits a comma-separated list; blanks around the commas are ignored.
pub(super) fn split_list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty())
}

/// Returns ` (did you mean X?)`, or an empty text if no known word is similar.
pub(super) fn did_you_mean<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|known| (strsim::jaro_winkler(word, known), known))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map_or_else(String::new, |(_, known)| format!(" (did you mean {known}?)"))
}
