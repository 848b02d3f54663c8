use super::*;

#[test]
fn an_unknown_url_is_an_error_that_names_the_valid_ones() {
    for url in ["", "memory", "redis://host", "memcache:", "secret@host"] {
        let error = open(url).err().expect(url);
        assert!(error.chain().contains("memcache://"), "{url}");
        assert!(!error.chain().contains("secret"));
    }
    assert!(open("memory:").is_ok());
}
