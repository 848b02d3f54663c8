use super::*;

#[tokio::test]
async fn another_url_is_refused_with_the_remedy() {
    for url in ["", "memory", "http://host", "redis:", "secret@host"] {
        let refusal = open(url, 10).await.err().expect(url);
        assert!(refusal.chain().contains("redis://"), "{url}");
        assert!(!refusal.chain().contains("secret"));
    }
    assert!(open("memory:", 10).await.is_ok());
}
