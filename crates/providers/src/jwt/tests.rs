use super::*;

#[derive(Serialize)]
struct TestJwtHeader {
    alg: &'static str,
    kid: &'static str,
}

#[derive(Serialize)]
struct TestJwtClaims {
    iss: &'static str,
    iat: i64,
}

#[test]
fn parts_are_encoded_as_in_the_reference() {
    let header = TestJwtHeader { alg: "ES256", kid: "ABC123DEFG" };
    let claims = TestJwtClaims { iss: "DEF123GHIJ", iat: 1_784_642_585 };
    assert_eq!(encode_part(&header).unwrap(), "eyJhbGciOiJFUzI1NiIsImtpZCI6IkFCQzEyM0RFRkcifQ");
    assert_eq!(encode_part(&claims).unwrap(), "eyJpc3MiOiJERUYxMjNHSElKIiwiaWF0IjoxNzg0NjQyNTg1fQ");
}

#[test]
fn an_invalid_key_is_refused_without_being_shown() {
    let broken = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    for (text, part) in [("hunter2", "BEGIN PRIVATE KEY"), (broken, "not an RSA key")] {
        let error = JwtKey::from_rsa_pem(text).err().unwrap();
        assert!(error.contains(part) && !error.contains("c2Vj") && !error.contains("hunter2"), "{error}");
    }
    assert!(JwtKey::from_p256_pem(broken).err().unwrap().contains("P-256"));
}
