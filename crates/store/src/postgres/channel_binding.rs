//! The certificate digest that binds a SCRAM authentication to its TLS connection (RFC 5929, `tls-server-end-point`).
//!
//! Reads only the signature algorithm from the certificate and does not validate it. `tokio-postgres-rustls` 0.14 does
//! the same with `x509-cert`, but adds eleven crates to the build (`x509-cert`, `der`, `spki`, `tls_codec` and others).

use sha2::{Digest, Sha256, Sha384, Sha512};

#[cfg(test)]
mod tests;

/// DER tags of a sequence and of an object identifier.
const SEQUENCE_TAG: u8 = 0x30;
const OBJECT_ID_TAG: u8 = 0x06;

/// Object identifier prefix `1.2.840.113549.1.1` of RSA signatures; the last number selects the digest.
const RSA: [u8; 8] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01];

/// Object identifier prefix `1.2.840.10045.4` of ECDSA signatures. The next number is 1 for SHA-1; for the other hashes
/// it is 3, followed by one more number.
const ECDSA: [u8; 6] = [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04];

/// Returns the digest of a certificate, computed with the hash of its signature, or with SHA-256 if that hash is MD5 or
/// SHA-1. Returns none for signatures that RFC 5929 does not cover.
pub fn certificate_digest(certificate: &[u8]) -> Option<Vec<u8>> {
    let (certificate_fields, _) = split_der_element(certificate, SEQUENCE_TAG)?;
    let (_, after_body) = split_der_element(certificate_fields, SEQUENCE_TAG)?;
    let (signature_algorithm, _) = split_der_element(after_body, SEQUENCE_TAG)?;
    let (algorithm_id, _) = split_der_element(signature_algorithm, OBJECT_ID_TAG)?;
    match (algorithm_id.strip_prefix(&RSA), algorithm_id.strip_prefix(&ECDSA)) {
        (Some([4 | 5 | 11]), _) | (_, Some([1] | [3, 2])) => Some(Sha256::digest(certificate).to_vec()),
        (Some([12]), _) | (_, Some([3, 3])) => Some(Sha384::digest(certificate).to_vec()),
        (Some([13]), _) | (_, Some([3, 4])) => Some(Sha512::digest(certificate).to_vec()),
        _ => None,
    }
}

/// Returns the content of the first DER element and the bytes after it; none if the element has another tag.
fn split_der_element(bytes: &[u8], expected_tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[tag, element_length], rest) = bytes.split_first_chunk::<2>()?;
    if tag != expected_tag {
        return None;
    }
    let (element_length, rest) = match element_length {
        0..=0x7F => (usize::from(element_length), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(element_length - 0x80))?;
            let element_length =
                digits.iter().fold(0, |element_length, digit| element_length << 8 | usize::from(*digit));
            (element_length, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(element_length)
}
