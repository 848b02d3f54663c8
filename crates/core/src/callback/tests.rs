use super::*;

fn callback(format: CallbackFormat) -> Callback {
    let fields = vec![("P".to_owned(), "Acme & Co".to_owned()), ("n".to_owned(), "+1 ü=".to_owned())];
    let url = "https://shop.example/dlr?d=%d&p=%p".to_owned();
    Callback { format, url, api_key: "shop one".to_owned(), fields }
}

#[test]
fn an_encoded_callback_decodes_to_the_same_callback() {
    let mut formats = vec![
        CallbackFormat::Twilio,
        CallbackFormat::Kannel { mask: 0 },
        CallbackFormat::Kannel { mask: 255 },
        CallbackFormat::Vonage,
    ];
    for level in JasminLevel::ALL {
        formats.extend(CallbackMethod::ALL.map(|method| CallbackFormat::Jasmin { level, method }));
    }
    for format in formats {
        for callback in
            [callback(format), Callback { fields: Vec::new(), api_key: String::new(), ..callback(format) }]
        {
            assert_eq!(Callback::decode(&callback.encode()), Some(callback));
        }
    }
    let encoded = callback(CallbackFormat::Kannel { mask: 31 }).encode();
    let expected = "~kannel:31 P=Acme+%26+Co&n=%2B1+%C3%BC%3D https://shop.example/dlr?d=%d&p=%p shop one";
    assert_eq!(encoded, expected);
}

#[test]
fn a_text_that_is_no_callback_is_not_decoded() {
    for text in [
        "",
        "~",
        "https://a.example/ shop",
        "~twilio  https://a.example/",
        "~kannel  https://a.example/ k",
        "~kannel:256  https://a.example/ k",
        "~jasmin:4:GET  https://a.example/ k",
        "~twilio:1  https://a.example/ k",
    ] {
        assert_eq!(Callback::decode(text), None, "{text}");
    }
}

#[test]
fn ids_are_written_as_twilio_and_vonage_write_them() {
    let id = MessageId::from_bytes([0xab; 16]);
    assert_eq!(id.to_twilio_sid(), format!("SM{}", "ab".repeat(16)));
    assert_eq!(id.to_vonage_id(), "AB".repeat(16));
    assert_eq!(MessageId::from_twilio_sid(&id.to_twilio_sid()), Some(id));
    for invalid in ["", "SM", "SM12", &id.to_string(), &format!("SM{id}"), &format!("MM{}", "ab".repeat(16))]
    {
        assert_eq!(MessageId::from_twilio_sid(invalid), None, "{invalid}");
    }
}
