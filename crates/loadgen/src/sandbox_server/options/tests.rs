use super::*;

#[test]
fn shares_may_sum_to_less_than_1_but_not_to_more() {
    let shares = parse_receipt_shares("delivered=0.9,failed=0.08,invalid=0.02").unwrap();
    assert_eq!((shares.delivered, shares.failed, shares.invalid), (0.9, 0.08, 0.02));
    assert_eq!(parse_receipt_shares("failed=1").unwrap().delivered, 0.0);
    for text in ["delivered=1.1", "delivered=-0.1", "failed=NaN", "delivered", "delivered=0.9,failed=0.2"] {
        assert!(parse_receipt_shares(text).unwrap_err().contains("from 0 to 1"), "{text}");
    }
    assert!(parse_receipt_shares("lost=0.5").unwrap_err().contains("delivered=0.9"));
}

#[test]
fn errors_of_delays_and_urls_name_the_expected_form() {
    assert_eq!(parse_receipt_delay("2s"), Ok(Duration::from_secs(2)));
    assert!(parse_receipt_delay("2h").unwrap_err().contains("from 0s to 1h"));
    assert_eq!(parse_gateway_url("http://127.0.0.1:8080/"), Ok("http://127.0.0.1:8080".to_owned()));
    for text in
        ["127.0.0.1:8080", "ftp://a", "http://", "http://a/?b=c", "http://a/#b", "http://user:secret@a/"]
    {
        assert!(parse_gateway_url(text).unwrap_err().contains("http://HOST:PORT"), "{text}");
    }
}
