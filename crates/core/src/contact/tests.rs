use super::*;

#[test]
fn encoded_contacts_decode_to_the_same_contacts() {
    let contact = |kind, address: &str, spelling: &str| Contact {
        kind,
        address: address.to_owned(),
        spelling: spelling.to_owned(),
    };
    let contacts = vec![
        contact(AddressKind::Push, "token:abc", "token:abc"),
        contact(AddressKind::Phone, "+989122222222", "0912 222 2222"),
    ];
    assert_eq!(decode_contacts(&encode_contacts(&contacts).unwrap()), Some(contacts));
    let odd = [contact(AddressKind::Email, "a@b.example", "a@b.example\n\tpush")];
    let spelling = decode_contacts(&encode_contacts(&odd).unwrap()).unwrap().remove(0).spelling;
    assert_eq!(spelling, "a@b.example  push");
    assert_eq!(encode_contacts(&[]), None);
    for text in ["", "phone", "pigeon\tx\ty"] {
        assert_eq!(decode_contacts(text), None, "{text:?}");
    }
}
