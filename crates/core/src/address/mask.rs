//! Masked addresses for logs and pages.

/// The address as logs and pages may show it: `+98912***2222`, `a***@example.org`. Of what is too short to
/// hide anything, or of a shape of its own (a push token, a URL with a secret), only the beginning remains.
pub fn mask_address(address: &str) -> String {
    if let Some((local, domain)) = address.split_once('@')
        && !address.contains('/')
    {
        return format!("{}***@{domain}", first_chars(local, 1));
    }
    let digits = address.strip_prefix('+').unwrap_or(address);
    let is_phone = digits.bytes().all(|byte| byte.is_ascii_digit());
    match address.len() {
        11.. if is_phone => format!(
            "{}***{}",
            &address[..address.len() - 7],
            &address[address.len() - 4..]
        ),
        7.. if is_phone => format!("{}***{}", &address[..3], &address[address.len() - 2..]),
        12.. => format!("{}***", first_chars(address, 4)),
        _ => "***".to_owned(),
    }
}

fn first_chars(text: &str, letters: usize) -> &str {
    text.char_indices()
        .nth(letters)
        .map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests;
