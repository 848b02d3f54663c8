use super::*;
use serde_json::json;

fn error_of(query: &str) -> String {
    check_send(&LenientFields::parse(query.as_bytes())).unwrap_err().text
}

#[test]
fn errors_have_the_texts_and_the_order_of_jasmin() {
    let valid = "username=u&password=p&to=1500&content=hi";
    for (query, expected) in [
        (String::new(), "Mandatory arguments not found, please refer to the HTTPAPI specifications."),
        ("foo=1".to_owned(), "Argument [foo] is unknown."),
        ("username=u".to_owned(), "Mandatory argument [to] is not found."),
        ("to=1500".to_owned(), "Mandatory argument [username] is not found."),
        ("to=1500&username=u".to_owned(), "Mandatory argument [password] is not found."),
        ("to=15a&username=".to_owned(), "Argument [to] has an invalid value: [15a]."),
        ("to=1500+1501".to_owned(), "Argument [to] has an invalid value: [1500 1501]."),
        ("to=1500&username=".to_owned(), "Argument [username] has an invalid value: []."),
        (format!("{valid}&coding=11"), "Argument [coding] has an invalid value: [11]."),
        (format!("{valid}&priority=4"), "Argument [priority] has an invalid value: [4]."),
        (format!("{valid}&sdt=1"), "Argument [sdt] has an invalid value: [1]."),
        (format!("{valid}&validity-period=1m"), "Argument [validity-period] has an invalid value: [1m]."),
        (format!("{valid}&dlr=maybe"), "Argument [dlr] has an invalid value: [maybe]."),
        (format!("{valid}&dlr-url=ftp://h"), "Argument [dlr-url] has an invalid value: [ftp://h]."),
        (format!("{valid}&dlr-level=4"), "Argument [dlr-level] has an invalid value: [4]."),
        (format!("{valid}&dlr-method=PUT"), "Argument [dlr-method] has an invalid value: [PUT]."),
        (format!("{valid}&tags=a_b"), "Argument [tags] has an invalid value: [a_b]."),
        ("username=u&password=p&to=1500".to_owned(), "content or hex-content not present."),
        (format!("{valid}&hex-content=00"), "content and hex-content cannot be used both in same request."),
    ] {
        assert_eq!(error_of(&query), expected, "{query}");
    }
}

#[test]
fn every_argument_is_taken_with_its_values() {
    let query = "username=u&password=p&to=+1500&content=hi&from=Acme&coding=14&priority=3&sdt=000000000100000R\
                 &validity-period=60&dlr=yes&dlr-url=https://h/&dlr-level=3&dlr-method=Get&tags=a,b-1&custom_tlvs=[]";
    let fields = LenientFields::parse(query.as_bytes());
    assert_eq!(check_send(&fields), Ok(()));
    assert_eq!(value(&fields, "to").as_deref(), Some("+1500"));
    let rate = LenientFields::parse(b"username=u&password=p&to=1500");
    assert_eq!(check_rate(&rate), Ok(()));
    let with_receipt = LenientFields::parse(b"username=u&password=p&to=1500&dlr=yes");
    assert_eq!(check_rate(&with_receipt).unwrap_err().text, "Argument [dlr] is unknown.");
    assert_eq!(check_balance(&LenientFields::parse(b"username=u&password=p")), Ok(()));
}

#[test]
fn json_members_are_arguments() {
    let object =
        json!({"to": 1500, "content": "h\u{fc}", "dlr": "yes", "tags": null, "custom_tlvs": [[1, 2]]});
    let fields = from_json(object.as_object().unwrap());
    for (name, expected) in
        [("to", "1500"), ("content", "h\u{fc}"), ("dlr", "yes"), ("custom_tlvs", "[[1,2]]")]
    {
        assert_eq!(fields.text(&[name]).as_deref(), Some(expected));
    }
    assert_eq!(fields.text(&["tags"]), None);
}
