//! Keys and certificates for tests, generated in each run; the repository contains none.
//!
//! rcgen writes the certificates. Keys and signatures come from ring: rcgen's own use of it would add twelve crates to
//! Cargo.lock. ring generates no RSA keys, so node does.

use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, PublicKeyData,
    SerialNumber, SignatureAlgorithm, SigningKey,
};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use tempfile::TempDir;

const RSA_SCRIPT: &str = "process.stdout.write(require('crypto').generateKeyPairSync('rsa', \
    { modulusLength: 2048, publicKeyEncoding: { type: 'spki', format: 'pem' }, \
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' } }).privateKey)";

/// Returns a new RSA key of 2048 bits, as PKCS#8 in PEM.
pub fn new_rsa_key_pem() -> String {
    let node = super::workspace_root().join("target/peers/python/bin/node");
    let output = Command::new(node).args(["-e", RSA_SCRIPT]).output();
    let output = output.expect("node is missing; run ./start.sh test, which installs it");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns a new P-256 key, as PKCS#8 in PEM.
pub fn new_p256_key_pem() -> String {
    P256Key::generate().private_key_pem()
}

/// Returns the public key of a P-256 key, both in PEM.
pub fn p256_public_key_pem(private_key_pem: &str) -> String {
    let base64: String = private_key_pem.lines().filter(|line| !line.starts_with('-')).collect();
    let pkcs8 = STANDARD.decode(base64).unwrap();
    encode_pem("PUBLIC KEY", &P256Key::from_pkcs8(pkcs8).subject_public_key_info())
}

/// Encodes DER as PEM, which has 64 characters on a line.
fn encode_pem(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let lines = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap());
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.collect::<Vec<_>>().join("\n"))
}

struct P256Key {
    pkcs8: Vec<u8>,
    pair: EcdsaKeyPair,
}

impl P256Key {
    fn generate() -> Self {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
        Self::from_pkcs8(pkcs8.unwrap().as_ref().to_vec())
    }

    fn from_pkcs8(pkcs8: Vec<u8>) -> Self {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8, &random).unwrap();
        Self { pkcs8, pair }
    }

    fn private_key_pem(&self) -> String {
        encode_pem("PRIVATE KEY", &self.pkcs8)
    }
}

impl PublicKeyData for P256Key {
    fn der_bytes(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for P256Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec())
    }
}

/// A certificate and its P-256 key, in a directory that is removed with the value.
pub struct TestCertificate {
    directory: TempDir,
    issuer: Issuer<'static, P256Key>,
}

impl TestCertificate {
    /// Returns a certificate authority.
    pub fn authority() -> Self {
        let mut params = certificate_params("test authority", &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self::self_signed(params)
    }

    /// Returns the self-signed certificate of a server with these host names and IP addresses.
    pub fn self_signed_server(names: &[&str]) -> Self {
        Self::self_signed(certificate_params("server", names))
    }

    /// Returns the certificate of a server with these host names and IP addresses, signed by this authority.
    pub fn sign(&self, names: &[&str]) -> Self {
        let (params, key) = (certificate_params("server", names), P256Key::generate());
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Self::write(params, key, certificate.der())
    }

    /// Returns the path of the certificate in PEM.
    pub fn certificate_path(&self) -> PathBuf {
        self.directory.path().join("cert.pem")
    }

    /// Returns the path of the private key, as PKCS#8 in PEM.
    pub fn key_path(&self) -> PathBuf {
        self.directory.path().join("key.pem")
    }

    fn self_signed(params: CertificateParams) -> Self {
        let key = P256Key::generate();
        let certificate = params.self_signed(&key).unwrap();
        Self::write(params, key, certificate.der())
    }

    fn write(params: CertificateParams, key: P256Key, certificate_der: &[u8]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let key_pem = key.private_key_pem();
        let certificate = Self { directory, issuer: Issuer::new(params, key) };
        let certificate_pem = encode_pem("CERTIFICATE", certificate_der);
        std::fs::write(certificate.certificate_path(), certificate_pem).unwrap();
        std::fs::write(certificate.key_path(), key_pem).unwrap();
        certificate
    }
}

/// Returns parameters with a subject of their own: a server must not have the subject of its authority.
fn certificate_params(common_name: &str, names: &[&str]) -> CertificateParams {
    let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.serial_number = Some(SerialNumber::from(1));
    params
}
