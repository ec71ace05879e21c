//! Files of a policy: every kind of key, and what is said of each that cannot be used.

use std::error::Error;
use std::fs;
use std::path::Path;

use neo4j_admin::config::policy::{ClientAuth, SslPolicy, TlsVersion};
use neo4j_admin::config::value::Secret;
use neo4j_admin::tls::{ClientTls, ServerTls};

use super::meet;
use crate::support::tls::{Authority, PolicyDirectory, parameters, policy_in, self_signed};

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new("fixtures/tls").join(name)).unwrap()
}

/// Message and innermost cause of what a client says of a policy.
fn failure(policy: &SslPolicy) -> (String, String) {
    let error = ClientTls::from_policy(policy).unwrap_err();
    let mut cause: &dyn Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    (error.to_string(), cause.to_string())
}

#[tokio::test]
async fn every_form_of_a_private_key_is_read() {
    for (key, certificate, password) in [
        ("rsa-pkcs1.key", "rsa.crt", None),
        ("rsa-pkcs8.key", "rsa.crt", None),
        ("rsa-pkcs8.key", "rsa.crt", Some("unused")),
        ("rsa-pbes2-aes256.key", "rsa.crt", Some("neo4j")),
        ("rsa-pbes2-aes128-sha1.key", "rsa.crt", Some("neo4j")),
        ("rsa-pbes2-des3.key", "rsa.crt", Some("neo4j")),
        ("rsa-pbes2-scrypt.key", "rsa.crt", Some("neo4j")),
        ("rsa-empty-password.key", "rsa.crt", None),
        ("ec-sec1.key", "ec.crt", None),
        ("ec-p384.key", "ec-p384.crt", None),
        ("ed25519.key", "ed25519.crt", None),
    ] {
        let directory = PolicyDirectory::new()
            .file("private.key", fixture(key))
            .file("public.crt", fixture(certificate))
            .file("trusted/server.crt", fixture(certificate));
        let mut policy = directory.policy();
        policy.private_key_password = password.map(secret);
        for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
            policy.tls_versions = vec![version];
            let meeting = meet(&policy, &policy, "localhost").await;
            assert!(meeting.client.is_ok() && meeting.server.is_ok(), "{key} {version:?} {meeting:?}");
        }
    }
}

#[test]
fn a_key_that_cannot_be_used_is_named_with_what_to_do() {
    let directory = PolicyDirectory::new().file("public.crt", fixture("rsa.crt"));
    let file = directory.path("private.key");
    let file = file.display();
    let convert = format!("convert it: openssl pkcs8 -topk8 -v2 aes-256-cbc -in {file} -out <new file>");
    let unrecognized = |problem: &str| format!("Unrecognized private key format. {file}: {problem}");
    for (key, password, cause) in [
        (
            fixture("rsa-pbes2-aes256.key"),
            None,
            format!(
                "Unable to decrypt private key. {file}: it needs a password, dbms.ssl.policy.backup.private_key_password"
            ),
        ),
        (
            fixture("rsa-pbes2-aes256.key"),
            Some("geheim"),
            format!(
                "Unable to decrypt private key. {file}: dbms.ssl.policy.backup.private_key_password is not its password"
            ),
        ),
        (
            fixture("rsa-pbes1.key"),
            Some("neo4j"),
            format!(
                "{file} is encrypted with PBES1 or another method that is not PBES2, which is not supported; {convert}"
            ),
        ),
        (
            fixture("rsa-dek.key"),
            Some("neo4j"),
            format!(
                "{file} is encrypted with OpenSSL's traditional method (DEK-Info), which is not supported; {convert}"
            ),
        ),
        (
            fixture("dsa.key"),
            None,
            format!(
                "{file} is a DSA key, which TLS does not support any more; make a new key and certificate, and should \
                 the key have to be converted: openssl pkcs8 -topk8 -v2 aes-256-cbc -in <key> -out <new file>"
            ),
        ),
        (
            fixture("dsa-pkcs8.key"),
            None,
            unrecognized("the key is not RSA, not ECDSA P-256 or P-384, and not Ed25519"),
        ),
        (
            fixture("ec-p521.key"),
            None,
            unrecognized("the key is not RSA, not ECDSA P-256 or P-384, and not Ed25519"),
        ),
        (fixture("rsa.crt"), None, unrecognized("its first object is 'CERTIFICATE'")),
        (b"nothing".to_vec(), None, unrecognized("it has no PEM object")),
        (Vec::new(), None, unrecognized("it has no PEM object")),
        (
            b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_vec(),
            None,
            unrecognized("the key is not RSA, not ECDSA P-256 or P-384, and not Ed25519"),
        ),
    ] {
        fs::write(directory.path("private.key"), &key).unwrap();
        let mut policy = directory.policy();
        policy.private_key_password = password.map(secret);
        let with_password = if password.is_some() { " (using configured password)" } else { "" };
        let message = format!("Failed to load private key: {file}{with_password}");
        let (found_message, found_cause) = failure(&policy);
        assert_eq!((found_message, found_cause.as_str()), (message, cause.as_str()));
        assert!(!format!("{:?}", ClientTls::from_policy(&policy)).contains("geheim"));
    }
    fs::write(directory.path("private.key"), "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n")
        .unwrap();
    let cause = failure(&directory.policy()).1;
    assert!(cause.starts_with(&unrecognized("its PEM is damaged: ")), "{cause}");
}

#[test]
fn a_missing_key_or_certificate_matters_only_if_it_was_asked_for() {
    let identity = self_signed(&parameters("both", &[]));
    let both = PolicyDirectory::of(&identity);
    let neither = PolicyDirectory::new();
    let key_only = PolicyDirectory::new().file("private.key", &identity.key);
    for (directory, key_explicit, certificate_explicit, missing) in [
        (&both, true, true, None),
        (&neither, false, false, None),
        (&key_only, false, false, None),
        (&neither, true, false, Some("private.key")),
        (&neither, false, true, Some("private.key")),
        (&key_only, true, false, Some("public.crt")),
        (&key_only, false, true, Some("public.crt")),
    ] {
        let mut policy = directory.policy();
        policy.private_key.explicit = key_explicit;
        policy.public_certificate.explicit = certificate_explicit;
        let message = missing.map(|name| {
            let what = if name == "private.key" { "private key" } else { "public certificate chain" };
            format!("Failed to load {what}: {}", directory.path(name).display())
        });
        assert_eq!(ClientTls::from_policy(&policy).err().map(|error| error.to_string()), message);
    }
    for directory in [&neither, &key_only] {
        assert!(ServerTls::from_policy(&directory.policy()).is_err(), "a server needs both");
    }
}

#[test]
fn a_certificate_must_belong_to_its_key() {
    let (one, two) = (self_signed(&parameters("one", &[])), self_signed(&parameters("two", &[])));
    let directory = PolicyDirectory::new().file("private.key", &one.key).file("public.crt", &two.certificate);
    let (key, certificate) = (directory.path("private.key"), directory.path("public.crt"));
    assert_eq!(
        failure(&directory.policy()),
        (
            format!("Failed to load public certificate chain: {}", certificate.display()),
            format!(
                "The private key {} does not belong to the first certificate in {}",
                key.display(),
                certificate.display()
            )
        )
    );
    for (contents, problem) in [
        (one.key.as_str(), "it has no PEM object 'CERTIFICATE'"),
        ("", "it has no PEM object 'CERTIFICATE'"),
        ("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "not a certificate: "),
    ] {
        fs::write(&certificate, contents).unwrap();
        let cause = failure(&directory.policy()).1;
        let start = format!("Cannot load the certificate {}: {problem}", certificate.display());
        assert!(cause.starts_with(&start), "{cause}");
    }
}

#[test]
fn the_base_directory_must_exist() {
    let policy = policy_in(Path::new("/nosuch/certificates"));
    let message = "Base directory '/nosuch/certificates' for SSL policy with name 'backup' does not exist.";
    assert_eq!(failure(&policy).0, message);
}

#[test]
fn every_entry_of_the_trusted_directory_must_be_certificates() {
    let directory = PolicyDirectory::new();
    let trusted = directory.path("trusted");
    assert!(ClientTls::from_policy(&directory.policy()).is_ok(), "a missing directory trusts nobody");

    fs::create_dir(&trusted).unwrap();
    let message = format!("Failed to create trust manager based on: {}", trusted.display());
    let cause = format!("Client auth is required but no trust anchors found in: {}", trusted.display());
    assert_eq!(failure(&directory.policy()), (message.clone(), cause));
    let mut policy = directory.policy();
    policy.client_auth = ClientAuth::Optional;
    assert!(ClientTls::from_policy(&policy).is_ok());

    for (name, contents, problem) in [
        ("a.crt", &b"nothing"[..], "it is neither PEM nor DER"),
        ("a.crt", b"\x30\x05abc", "it is neither PEM nor DER"),
        (
            "a.crt",
            b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "it has no PEM object 'CERTIFICATE'",
        ),
        (".hidden", b"nothing", "it is neither PEM nor DER"),
    ] {
        let file = trusted.join(name);
        fs::write(&file, contents).unwrap();
        let cause = format!("Error loading certificate file: {} ({problem})", file.display());
        assert_eq!(failure(&directory.policy()), (message.clone(), cause));
        // They count even if nobody is asked.
        let mut policy = directory.policy();
        policy.trust_all = true;
        assert_eq!(failure(&policy).0, message);
        fs::remove_file(&file).unwrap();
    }
    fs::write(trusted.join("good.crt"), Authority::new("CA").certificate).unwrap();
    fs::write(trusted.join(".hidden"), "nothing").unwrap();
    let mut policy = directory.policy();
    policy.ignore_dot_files = true;
    assert!(ClientTls::from_policy(&policy).is_ok());
    fs::remove_file(trusted.join(".hidden")).unwrap();
    fs::create_dir(trusted.join("sub")).unwrap();
    let cause =
        format!("Error loading certificate file: {} (it is a directory)", trusted.join("sub").display());
    assert_eq!(failure(&directory.policy()).1, cause);
}

#[test]
fn every_entry_of_the_revoked_directory_must_be_lists() {
    let directory = PolicyDirectory::new().trusting(&[&Authority::new("CA").certificate]);
    let file = directory.path("revoked/list.crl");
    let none = fixture("none-revoked.crl");
    let der = pem::parse(&none).unwrap().into_contents();
    for (contents, problem) in [
        (none.clone(), None),
        ([none.clone(), none.clone()].concat(), None),
        (der.clone(), None),
        ([der.clone(), der].concat(), None),
        (fixture("ca.crt"), Some("it has no PEM object 'X509 CRL'")),
        (b"nothing".to_vec(), Some("it is neither PEM nor DER")),
        (
            fixture("version-1.crl"),
            Some("it is of version 1, 2 is needed: give the authority a crlnumber in openssl.cnf"),
        ),
    ] {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, contents).unwrap();
        let message = problem.map(|problem| format!("Could not load CRL: {} ({problem})", file.display()));
        let found = ClientTls::from_policy(&directory.policy()).err().map(|error| error.to_string());
        assert_eq!(found, message);
    }
}

#[test]
fn the_first_mistake_in_the_order_of_loading_is_told() {
    let directory = PolicyDirectory::new()
        .file("trusted/bad", "nothing")
        .file("private.key", "nothing")
        .file("public.crt", "nothing")
        .file("revoked/bad", "nothing");
    let step = |start: &str| {
        let message = failure(&directory.policy()).0;
        assert!(message.starts_with(start), "{message}");
    };
    let identity = self_signed(&parameters("both", &[]));
    step("Failed to create trust manager based on: ");
    fs::write(directory.path("trusted/bad"), &identity.certificate).unwrap();
    step("Failed to load private key: ");
    fs::write(directory.path("private.key"), &identity.key).unwrap();
    step("Failed to load public certificate chain: ");
    fs::write(directory.path("public.crt"), &identity.certificate).unwrap();
    step("Could not load CRL: ");
}
