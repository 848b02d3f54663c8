//! Settings and templates of providers of kind `http`.

use postrider_providers::ProviderSettings;

use crate::texts;

/// Reads the input as the settings table of an HTTP provider.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(settings) = text.parse::<toml::Table>()
        && let Err(error) = ProviderSettings::read("http", settings)
    {
        assert!(!error.to_string().is_empty());
    }
}

/// Returns settings with templates for each kind of body.
pub fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "url = \"https://example.org/send?to={to}&text={body}\"\nmethod = \"GET\"\n",
        "url = \"https://example.org/\"\njson = { to = \"{to}\", text = \"{body}\", parts = \"{parts}\" }\n\
         reference = \"json:data.0.id\"\n",
        "url = \"https://example.org/\"\ncontent_type = \"application/xml\"\nbody = \"<m to='{spelling}'>{body}</m>\"\n\
         headers = { Authorization = \"Bearer x\" }\nreference = \"header:x-id\"\n",
        "url = \"https://example.org/\"\nform = { to = \"{to}\" }\n[receipts]\nreference = \"query:id\"\nstatus = \"query:s\"\n\
         unsigned = true\n",
    ])
}
