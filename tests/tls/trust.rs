//! Whom to trust: authorities, chains, certificates that are their own anchor, names, revocation.

use neo4j_admin::config::policy::TlsVersion;
use rcgen::{
    CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    NameConstraints, SerialNumber, date_time_ymd,
};

use super::{Meeting, meet};
use crate::support::tls::{Authority, Certificate, PolicyDirectory, parameters, policy_in, self_signed};

/// A client that trusts `trusted` and has `lists`, dials `host`, and compares the name if `verify`.
async fn dial(server: &Certificate, trusted: &[&str], lists: &[&str], host: &str, verify: bool) -> Meeting {
    let client_identity = self_signed(&parameters("client", &[]));
    let client = PolicyDirectory::of(&client_identity).trusting(trusted).revoking(lists);
    let server = PolicyDirectory::of(server).trusting(&[&client_identity.certificate]);
    let mut client = client.policy();
    client.verify_hostname = verify;
    // Only TLS 1.3 keeps the order of things; what is trusted does not depend on the version.
    let mut server = server.policy();
    (client.tls_versions, server.tls_versions) = (vec![TlsVersion::V1_3], vec![TlsVersion::V1_3]);
    meet(&client, &server, host).await
}

async fn trusts(server: &Certificate, trusted: &[&str]) -> Result<String, String> {
    let meeting = dial(server, trusted, &[], "localhost", false).await;
    let Meeting { client, server } = meeting;
    client.inspect(|_| assert_eq!(server, Ok(())))
}

/// The same with revocation lists.
async fn trusts_with_lists(server: &Certificate, trusted: &str, lists: &[&str]) -> Result<(), String> {
    dial(server, &[trusted], lists, "localhost", false).await.client.map(drop)
}

/// The failure without the advice.
fn cause(result: Result<String, String>) -> String {
    let text = result.unwrap_err();
    text.split(" (put ").next().unwrap().to_owned()
}

const NOT_TRUSTED: &str = "the server's certificate is not trusted";

#[tokio::test]
async fn a_certificate_may_be_its_own_anchor() {
    let plain = self_signed(&parameters("server", &["localhost"]));
    let mut as_authority = parameters("server", &["localhost"]);
    as_authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let as_authority = self_signed(&as_authority);
    let signed = Authority::new("CA").sign(&parameters("server", &["localhost"]));
    let nameless = self_signed(&parameters("server", &[]));
    let other = self_signed(&parameters("server", &["localhost"])).certificate;
    for server in [&plain, &as_authority, &signed, &nameless] {
        trusts(server, &[&other, &server.certificate]).await.unwrap();
        assert_eq!(cause(trusts(server, &[&other]).await), NOT_TRUSTED);
        assert_eq!(cause(trusts(server, &[]).await), NOT_TRUSTED, "without a directory nobody is trusted");
    }
}

#[tokio::test]
async fn a_certificate_that_is_no_authority_vouches_for_itself_only() {
    // The same subject and key usage as an authority, but for the permission to sign.
    let signer = Authority::with("signer", |parameters| parameters.is_ca = IsCa::ExplicitNoCa);
    let server = signer.sign(&parameters("server", &["localhost"]));
    assert_eq!(cause(trusts(&server, &[&signer.certificate]).await), NOT_TRUSTED);
}

#[tokio::test]
async fn a_chain_leads_to_a_trusted_authority() {
    let root = Authority::new("Root");
    let middle = root.intermediate("Middle");
    let leaf = middle.sign(&parameters("server", &["localhost"]));
    let chain = Certificate {
        certificate: format!("{}{}", leaf.certificate, middle.certificate),
        key: leaf.key.clone(),
    };
    trusts(&chain, &[&root.certificate]).await.unwrap();
    trusts(&leaf, &[&middle.certificate]).await.unwrap();
    trusts(&chain, &[&middle.certificate]).await.unwrap();
    assert_eq!(cause(trusts(&leaf, &[&root.certificate]).await), NOT_TRUSTED, "the link is missing");
    let bundle = format!("# two in one file\n{}\n{}", Authority::new("X").certificate, root.certificate);
    trusts(&chain, &[&bundle]).await.unwrap();
}

#[tokio::test]
async fn der_files_are_read_one_or_many() {
    let authorities = [Authority::new("A"), Authority::new("B")];
    let der: Vec<u8> = authorities
        .iter()
        .flat_map(|authority| pem::parse(&authority.certificate).unwrap().into_contents())
        .collect();
    for authority in &authorities {
        let identity = authority.sign(&parameters("both", &["localhost"]));
        let directory = PolicyDirectory::of(&identity).file("trusted/both.der", &der);
        meet(&directory.policy(), &directory.policy(), "localhost").await.succeeded();
    }
}

#[tokio::test]
async fn validity_counts_for_everybody() {
    let authority = Authority::new("CA");
    let with = |change: fn(&mut CertificateParams)| {
        let mut parameters = parameters("server", &["localhost"]);
        change(&mut parameters);
        parameters
    };
    let expired = with(|p| p.not_after = date_time_ymd(2020, 5, 17));
    let early = with(|p| p.not_before = date_time_ymd(2999, 5, 17));
    for (parameters, fault) in
        [(expired, "has expired at 2020-05-17 UTC"), (early, "is not valid before 2999-05-17 UTC")]
    {
        let text = format!("the server's certificate {fault}");
        assert_eq!(trusts(&authority.sign(&parameters), &[&authority.certificate]).await, Err(text.clone()));
        let alone = self_signed(&parameters);
        assert_eq!(trusts(&alone, &[&alone.certificate]).await, Err(text), "its own anchor");
    }
}

#[tokio::test]
async fn usages_are_heeded() {
    let authority = Authority::new("CA");
    let mut for_clients = parameters("server", &["localhost"]);
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let mut for_both = for_clients.clone();
    for_both.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    trusts(&authority.sign(&for_both), &[&authority.certificate]).await.unwrap();
    let fault = "the server's certificate is not meant for this use (extended key usage)".to_owned();
    assert_eq!(trusts(&authority.sign(&for_clients), &[&authority.certificate]).await, Err(fault.clone()));
    for_clients.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    assert_eq!(trusts(&authority.sign(&for_clients), &[&authority.certificate]).await, Err(fault));
}

#[tokio::test]
async fn a_leaf_that_claims_to_be_an_authority_is_taken_from_its_issuer_only() {
    let authority = Authority::new("CA");
    let mut parameters = parameters("server", &["localhost"]);
    parameters.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    trusts(&authority.sign(&parameters), &[&authority.certificate]).await.unwrap();
    let middle = authority.intermediate("Middle");
    let below = middle.sign(&parameters);
    let chain = Certificate { certificate: below.certificate + &middle.certificate, key: below.key };
    assert_eq!(cause(trusts(&chain, &[&authority.certificate]).await), NOT_TRUSTED);
    let namesake = Authority::new("CA");
    assert_eq!(cause(trusts(&authority.sign(&parameters), &[&namesake.certificate]).await), NOT_TRUSTED);

    let restricted = Authority::with("CA", |parameters| {
        parameters.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![],
            excluded_subtrees: vec![GeneralSubtree::DnsName("example.org".to_owned())],
        });
    });
    assert_eq!(cause(trusts(&restricted.sign(&parameters), &[&restricted.certificate]).await), NOT_TRUSTED);

    let mut critical = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    critical.set_criticality(true);
    parameters.custom_extensions = vec![critical];
    assert_eq!(
        trusts(&authority.sign(&parameters), &[&authority.certificate]).await,
        Err("the server's certificate has a critical extension that is not understood".to_owned())
    );
}

#[tokio::test]
async fn the_name_is_compared_if_the_policy_says_so() {
    let named = self_signed(&parameters(
        "other.example.com",
        &["db.example.com", "*.wild.example.com", "127.0.0.1", "::1"],
    ));
    let common = self_signed(&parameters("db.example.com", &[]));
    let wild = self_signed(&parameters("*.example.com", &[]));
    let address = self_signed(&parameters("127.0.0.1", &["10.0.0.1"]));
    for (server, host, matches) in [
        (&named, "db.example.com", true),
        (&named, "DB.example.com", true),
        (&named, "a.wild.example.com", true),
        (&named, "a.b.wild.example.com", false),
        (&named, "127.0.0.1", true),
        (&named, "::1", true),
        (&named, "127.0.0.2", false),
        (&named, "other.example.com", false),
        (&common, "db.example.com", true),
        (&common, "db2.example.com", false),
        (&common, "127.0.0.1", false),
        (&wild, "a.example.com", true),
        (&wild, "a.b.example.com", false),
        (&address, "127.0.0.1", false),
        (&address, "10.0.0.1", true),
    ] {
        let compared = dial(server, &[&server.certificate], &[], host, true).await;
        assert_eq!(compared.client.is_ok(), matches, "{host} {compared:?}");
        dial(server, &[&server.certificate], &[], host, false).await.succeeded();
    }
    assert_eq!(
        dial(&common, &[&common.certificate], &[], "db2.example.com", true).await.client_failure(),
        "the server's certificate is not for 'db2.example.com' but for CN=db.example.com (dial it by that name, or set \
         dbms.ssl.policy.backup.verify_hostname=false)"
    );
    let failure = dial(&named, &[&named.certificate], &[], "other.example.com", true).await.client_failure();
    assert!(
        failure.contains("is not for 'other.example.com' but for ") && failure.contains("db.example.com")
    );
}

#[tokio::test]
async fn everybody_is_trusted_if_the_policy_says_so() {
    let expired = {
        let mut parameters = parameters("server", &[]);
        parameters.not_after = date_time_ymd(2020, 1, 1);
        self_signed(&parameters)
    };
    let directory = PolicyDirectory::of(&expired);
    let mut policy = directory.policy();
    policy.trust_all = true;
    meet(&policy, &policy, "localhost").await.succeeded();
    policy.verify_hostname = true;
    let failure = meet(&policy, &policy, "localhost").await.client_failure();
    assert!(
        failure.starts_with("the server's certificate is not for 'localhost' but for CN=server"),
        "{failure}"
    );
}

/// A certificate with a serial number.
fn numbered(serial: u64) -> CertificateParams {
    let mut parameters = parameters("server", &["localhost"]);
    parameters.serial_number = Some(SerialNumber::from(serial));
    parameters
}

#[tokio::test]
async fn a_revoked_certificate_is_not_trusted() {
    let authority = Authority::new("CA");
    let (one, two) = (authority.sign(&numbered(1)), authority.sign(&numbered(2)));
    let list = authority.revoke(&[1, 7], 2999);
    let revoked = Err("the server's certificate is revoked".to_owned());
    assert_eq!(trusts_with_lists(&one, &authority.certificate, &[&list]).await, revoked);
    assert_eq!(trusts_with_lists(&two, &authority.certificate, &[&list]).await, Ok(()));
}

#[tokio::test]
async fn with_one_list_every_authority_of_the_path_needs_one() {
    let root = Authority::new("Root");
    let middle = root.intermediate("Middle");
    let leaf = middle.sign(&numbered(1));
    let chain = Certificate { certificate: leaf.certificate + &middle.certificate, key: leaf.key };
    let (of_root, of_middle) = (root.revoke(&[], 2999), middle.revoke(&[], 2999));
    let others = Authority::new("X").revoke(&[], 2999);
    for lists in [vec![], vec![&*of_root, &of_middle], vec![&*format!("{of_root}{of_middle}")]] {
        assert_eq!(trusts_with_lists(&chain, &root.certificate, &lists).await, Ok(()), "{lists:?}");
    }
    for lists in [[&*of_root], [&*of_middle], [&*others]] {
        assert_eq!(
            trusts_with_lists(&chain, &root.certificate, &lists).await,
            Err("the server's certificate may be revoked: there is no revocation list of its issuer (as soon as \
                 dbms.ssl.policy.backup.revoked_dir has a list, every authority must have one there)"
                .to_owned())
        );
    }
    assert_eq!(
        trusts_with_lists(&chain, &root.certificate, &[&of_root, &middle.revoke(&[], 2021)]).await,
        Err("the server's certificate may be revoked: the revocation list of its issuer is out of date"
            .to_owned())
    );
}

#[tokio::test]
async fn a_list_by_someone_else_of_the_same_name_does_not_count() {
    let (authority, namesake) = (Authority::new("CA"), Authority::new("CA"));
    let mut claims = numbered(1);
    claims.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    for server in [authority.sign(&numbered(1)), authority.sign(&claims)] {
        let forged = namesake.revoke(&[], 2999);
        let result = dial(&server, &[&authority.certificate], &[&forged], "localhost", false).await;
        assert!(result.client.is_err(), "{result:?}");
    }
}

#[tokio::test]
async fn lists_count_for_leaves_that_claim_to_be_authorities_too() {
    let authority = Authority::new("CA");
    let mut claims = numbered(1);
    claims.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    claims.distinguished_name.push(DnType::OrganizationName, "Example");
    let server = authority.sign(&claims);
    for (list, expected) in [
        (authority.revoke(&[2], 2999), Ok(())),
        (authority.revoke(&[1], 2999), Err("is revoked")),
        (authority.revoke(&[], 2021), Err("the revocation list of its issuer is out of date")),
        (Authority::new("X").revoke(&[], 2999), Err("there is no revocation list of its issuer")),
    ] {
        let client = dial(&server, &[&authority.certificate], &[&list], "localhost", false).await.client;
        match expected {
            Ok(()) => drop(client.unwrap()),
            Err(fault) => assert!(client.unwrap_err().contains(fault), "{fault}"),
        }
    }
}

#[tokio::test]
async fn a_pinned_certificate_can_be_revoked() {
    let authority = Authority::new("CA");
    let server = authority.sign(&numbered(1));
    for (serial, expected) in [(1, Err("the server's certificate is revoked".to_owned())), (2, Ok(()))] {
        let list = authority.revoke(&[serial], 2999);
        assert_eq!(trusts_with_lists(&server, &server.certificate, &[&list]).await, expected);
    }
}

/// Certificates that OpenSSL makes when it is given no extensions.
#[tokio::test]
async fn certificates_of_version_1_are_trusted_like_others() {
    let fixture = |name: &str| std::fs::read_to_string(format!("fixtures/tls/{name}")).unwrap();
    let key = fixture("ec-p384.key");
    let client_identity = self_signed(&parameters("client", &[]));
    for (certificate, trusted, list, host, fault) in [
        ("v1.crt", "ca.crt", None, None, None),
        ("v1.crt", "v1.crt", None, None, None),
        ("v1.crt", "rsa.crt", None, None, Some("is not trusted")),
        ("v1.crt", "v1-self-signed.crt", None, None, Some("is not trusted")),
        ("v1-self-signed.crt", "v1-self-signed.crt", None, None, None),
        ("v1-self-signed.crt", "ca.crt", None, None, Some("is not trusted")),
        ("ca-true.crt", "ca.crt", None, None, None),
        ("proper.crt", "ca.crt", None, None, None),
        ("v1.crt", "ca.crt", Some("none-revoked.crl"), None, None),
        ("ca-true.crt", "ca.crt", Some("none-revoked.crl"), None, None),
        ("proper.crt", "ca.crt", Some("none-revoked.crl"), None, None),
        ("v1.crt", "ca.crt", Some("all-revoked.crl"), None, Some("is revoked")),
        ("ca-true.crt", "ca.crt", Some("all-revoked.crl"), None, Some("is revoked")),
        ("proper.crt", "ca.crt", Some("all-revoked.crl"), None, Some("is revoked")),
        ("v1.crt", "ca.crt", None, Some("v1.example.com"), None),
        (
            "v1.crt",
            "ca.crt",
            None,
            Some("127.0.0.1"),
            Some("is not for '127.0.0.1' but for CN=v1.example.com"),
        ),
        ("proper.crt", "ca.crt", None, Some("127.0.0.1"), None),
        ("ca-true.crt", "ca.crt", None, Some("ca-true.example.com"), None),
    ] {
        for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
            let identity = Certificate { certificate: fixture(certificate), key: key.clone() };
            let server = PolicyDirectory::of(&identity).trusting(&[&client_identity.certificate]);
            let client = PolicyDirectory::of(&client_identity).trusting(&[&fixture(trusted)]);
            let client = client.revoking(&list.map(fixture).iter().map(String::as_str).collect::<Vec<_>>());
            let (mut client, mut server) = (client.policy(), server.policy());
            client.verify_hostname = host.is_some();
            (client.tls_versions, server.tls_versions) = (vec![version], vec![version]);
            let meeting = meet(&client, &server, host.unwrap_or("localhost")).await;
            match (fault, &meeting.client) {
                (None, Ok(_)) => {}
                (Some(fault), Err(text)) if text.contains(fault) => {}
                _ => panic!("{certificate} {trusted} {list:?} {host:?} {version:?}: {meeting:?}"),
            }
        }
    }
}

/// A client's certificate of version 1 is as good.
#[tokio::test]
async fn a_server_trusts_version_1_too() {
    let fixture = |name: &str| std::fs::read_to_string(format!("fixtures/tls/{name}")).unwrap();
    let identity = Certificate { certificate: fixture("v1.crt"), key: fixture("ec-p384.key") };
    let directory = PolicyDirectory::of(&identity).trusting(&[&fixture("ca.crt")]);
    let mut policy = policy_in(&directory.path(""));
    policy.tls_versions = vec![TlsVersion::V1_3];
    meet(&policy, &policy, "localhost").await.succeeded();
}
