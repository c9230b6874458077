//! Whom a TLS connection trusts: the authorities of the system, or one that is named.
//!
//! `SSL_CERT_FILE` names others instead of the system's. A private authority stands alone: who names
//! one wants that one.

use std::sync::{Arc, OnceLock};

use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

/// What the system trusts, read once.
///
/// # Errors
/// When it trusts nobody.
pub fn system() -> Result<Arc<ClientConfig>, String> {
    static SYSTEM: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    let read = || {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err("the system trusts no certificates; `SSL_CERT_FILE` can name some".into());
        }
        configured(roots)
    };
    SYSTEM.get_or_init(read).clone()
}

/// The authorities whose certificates stand in `pem`, and nobody else.
///
/// # Errors
/// When there is no certificate in it, or one that cannot be read.
pub fn only(pem: &str) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|_| "a certificate in it cannot be read")?;
        roots.add(certificate).map_err(|_| "a certificate in it is of no authority")?;
    }
    if roots.is_empty() {
        return Err("there is no certificate in it".to_owned());
    }
    configured(roots)
}

fn configured(roots: RootCertStore) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_not_trusted() {
        let check = |pem: &str, why: &str| assert_eq!(only(pem).unwrap_err(), why, "{pem}");
        check("", "there is no certificate in it");
        check("hush", "there is no certificate in it");
        let none = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        check(none, "a certificate in it is of no authority");
        check(
            "-----BEGIN CERTIFICATE-----\n???\n-----END CERTIFICATE-----\n",
            "a certificate in it cannot be read",
        );
    }
}
