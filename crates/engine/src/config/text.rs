//! Text functions of the configuration: lists and suggestions.

/// Splits a comma-separated list; blanks around the commas are ignored.
pub(super) fn split_list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty())
}

/// Maximum number of typing errors (a letter added, left out, replaced, or two letters swapped) of a suggestion.
const TYPING_ERRORS_MAX: usize = 2;

/// Returns ` (did you mean X?)` for the candidate with the fewest typing errors, or an empty text if each has more than
/// [`TYPING_ERRORS_MAX`] or shares no letter with the text.
pub(super) fn suggest_typo<'a>(text: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    candidates
        .map(|candidate| (strsim::osa_distance(text, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= TYPING_ERRORS_MAX && *distance < candidate.chars().count()
        })
        .min_by_key(|(distance, _)| *distance)
        .map_or_else(String::new, |(_, candidate)| format!(" (did you mean {candidate}?)"))
}

/// Returns ` (did you mean X?)` for a candidate within a few typing errors, else for one that begins similarly, or an empty
/// text if no candidate is similar.
pub(super) fn did_you_mean<'a>(text: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    let candidates = candidates.collect::<Vec<_>>();
    match suggest_typo(text, candidates.iter().copied()) {
        suggestion if suggestion.is_empty() => suggest_similar(text, candidates.into_iter()),
        suggestion => suggestion,
    }
}

fn suggest_similar<'a>(text: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    candidates
        .map(|candidate| (strsim::jaro_winkler(text, candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(String::new, |(_, candidate)| format!(" (did you mean {candidate}?)"))
}
