//! Masked addresses for logs and pages.

/// Returns the address with its middle hidden: `+98912***2222`, `a***@example.org`.
///
/// An address that is too short to hide a part of it, or that may contain a secret (a push token, a URL), keeps at most its
/// beginning.
pub fn mask_address(address: &str) -> String {
    if let Some((local, domain)) = address.split_once('@')
        && !address.contains('/')
    {
        return format!("{}***@{domain}", first_chars(local, 1));
    }
    let digits = address.strip_prefix('+').unwrap_or(address);
    let is_phone = digits.bytes().all(|byte| byte.is_ascii_digit());
    match address.len() {
        11.. if is_phone => format!("{}***{}", &address[..address.len() - 7], &address[address.len() - 4..]),
        7.. if is_phone => format!("{}***{}", &address[..3], &address[address.len() - 2..]),
        12.. => format!("{}***", first_chars(address, 4)),
        _ => "***".to_owned(),
    }
}

fn first_chars(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests;
