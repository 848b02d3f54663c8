use super::*;

#[test]
fn a_base_url_has_a_host_and_a_path_only() {
    let base = BaseUrl::parse("https://push.example/api/").unwrap();
    assert_eq!(
        base.resource_url(&["v1", "a/b", "c:send"]).as_str(),
        "https://push.example/api/v1/a%2Fb/c:send"
    );
    assert_eq!(base.resource_url(&["v1", "a/b", ""]).as_str(), "https://push.example/api/v1/a%2Fb/");
    assert_eq!(base.endpoint(), ("push.example".to_owned(), 443));
    assert!(base.is_secure() && !BaseUrl::parse("http://127.0.0.1:9").unwrap().is_secure());
    for text in ["", "push.example", "ftp://a", "https://a/?b=c", "https://user@a/"] {
        assert!(BaseUrl::parse(text).is_err(), "{text}");
    }
}
