//! Keys and certificates that a test needs, made by `openssl` for this run; none lies in the tree.

use std::process::{Command, Stdio};
use std::sync::LazyLock;

use tempfile::TempDir;

/// An RSA key of 2048 bits in PEM.
pub static RSA_PRIVATE_KEY_PEM: LazyLock<String> =
    LazyLock::new(|| run_openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]));

/// A key on P-256 in PEM.
pub static P256_PRIVATE_KEY_PEM: LazyLock<String> = LazyLock::new(|| {
    run_openssl(&[
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
    ])
});

/// What `openssl` says to these arguments.
pub fn run_openssl(arguments: &[&str]) -> String {
    let made = Command::new("openssl")
        .args(arguments)
        .stderr(Stdio::piped())
        .output();
    let made = made.expect("openssl is missing; run ./start.sh test, which installs it");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap()
}

/// A folder with `key.pem` and `cert.pem` of a server at 127.0.0.1 that nobody else signed.
pub fn self_signed_certificate() -> TempDir {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (key, cert) = (path("key.pem"), path("cert.pem"));
    run_openssl(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        &key,
        "-out",
        &cert,
        "-days",
        "2",
        "-subj",
        "/CN=127.0.0.1",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
    ]);
    folder
}

/// The public half of a private key, both in PEM.
pub fn public_key_pem(private: &str) -> String {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("key.pem");
    std::fs::write(&file, private).unwrap();
    run_openssl(&["pkey", "-in", file.to_str().unwrap(), "-pubout"])
}

/// The HMAC-SHA-256 of a text in hexadecimal digits, as `openssl` computes it.
pub fn hmac_sha256_hex(secret: &str, text: &[u8]) -> String {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("text");
    std::fs::write(&file, text).unwrap();
    let said = run_openssl(&["dgst", "-sha256", "-hmac", secret, "-r", file.to_str().unwrap()]);
    said.split_whitespace().next().unwrap().to_owned()
}
