use super::*;

#[tokio::test]
async fn an_unknown_url_is_an_error_that_names_the_valid_ones() {
    for url in ["", "memory", "http://host", "redis:", "secret@host"] {
        let error = open(url, 10).await.err().expect(url);
        assert!(error.chain().contains("redis://"), "{url}");
        assert!(!error.chain().contains("secret"));
    }
    assert!(open("memory:", 10).await.is_ok());
}
