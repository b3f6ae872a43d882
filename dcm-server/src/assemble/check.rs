//! What a configuration alone shows to stand against a start.

use super::{GRPC, HTTP, StartError};
use crate::config::{CaKind, Config, Role, SynchronizerKind, TlsOptions};

/// The options that name another role's address.
const SYNCHRONIZER: &str = "--synchronizer";
const CA: &str = "--ca";

/// What a configuration alone shows to stand against a start.
pub(crate) fn check(config: &Config) -> Result<(), StartError> {
    if config.role.shares_store() && !config.storage.store.is_shared() {
        return Err(StartError::StoreOfOneProcess(config.role));
    }
    if config.role == Role::Ca && matches!(config.storage.store, dcm_store::Config::Memory) {
        return Err(StartError::ForgetfulCa);
    }
    check_on_any_store(config)
}

/// The same, whatever the store is.
pub(super) fn check_on_any_store(config: &Config) -> Result<(), StartError> {
    check_synchronizer(config)?;
    check_ca(config)?;
    check_tls(&config.tls)?;
    let is_asked = config.tls.authenticates() || config.insecure_listen_without_authentication;
    for (option, address) in [(HTTP, config.http), (GRPC, config.grpc)] {
        if config.role.serves_clients() && !address.ip().is_loopback() && !is_asked {
            return Err(StartError::BeyondLoopback(option, address));
        }
    }
    if config.role.serves_roles() && (!config.tls.authenticates() || config.tls.allowed_identity.is_empty()) {
        return Err(StartError::NoMutualTls(config.role));
    }
    #[cfg(feature = "mongodb")]
    if matches!(config.storage.store, dcm_store::Config::MongoDb(_)) && config.storage.encryption_key_file.is_none() {
        return Err(StartError::NoKey);
    }
    Ok(())
}

/// Not every role goes with everything that can carry work to clusters.
fn check_synchronizer(config: &Config) -> Result<(), StartError> {
    let fix = match (config.role, &config.synchronizer) {
        (Role::Dcm, SynchronizerKind::Simulated) => "simulated clusters live in one process, so give --role all",
        (Role::All, SynchronizerKind::Remote(_)) => {
            "it works on clusters itself; leave --synchronizer out, or give --role dcm"
        }
        (Role::Synchronizer | Role::Ca, SynchronizerKind::Remote(_)) => {
            "only --role dcm leaves the work on clusters to another process; leave --synchronizer out"
        }
        (Role::Dcm, SynchronizerKind::Remote(address)) if address.is_https() && config.tls.peer_ca.is_none() => {
            return Err(StartError::NoPeerCa { option: SYNCHRONIZER, address: address.clone() });
        }
        _ => return Ok(()),
    };
    let synchronizer = config.synchronizer.to_string();
    Err(StartError::Synchronizer { role: config.role, synchronizer, fix })
}

/// Main servers have a CA, and nobody else.
fn check_ca(config: &Config) -> Result<(), StartError> {
    match &config.ca {
        CaKind::Remote(address) if !config.role.serves_clients() => {
            Err(StartError::Ca { role: config.role, address: address.clone() })
        }
        CaKind::Remote(address) if address.is_https() && config.tls.peer_ca.is_none() => {
            Err(StartError::NoPeerCa { option: CA, address: address.clone() })
        }
        CaKind::Remote(_) | CaKind::BuiltIn => Ok(()),
    }
}

/// Whether the options of TLS belong together.
const fn check_tls(tls: &TlsOptions) -> Result<(), StartError> {
    match (&tls.tls_cert, &tls.tls_key, &tls.client_ca) {
        (Some(_), None, _) => Err(StartError::NoTlsKey),
        (None, Some(_), _) => Err(StartError::NoTlsCert),
        (None, None, Some(_)) => Err(StartError::ClientCaWithoutTls),
        (_, _, None) if !tls.allowed_identity.is_empty() => Err(StartError::IdentitiesWithoutClientCa),
        _ if tls.peer_cert.is_some() != tls.peer_key.is_some() => Err(StartError::HalfOfPeerCert),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MUTUAL: [&str; 4] = ["--tls-cert=c", "--tls-key=k", "--client-ca=a", "--allowed-identity=main"];

    fn fault(options: &[&str]) -> String {
        let config = Config::from_options(options.iter().copied()).unwrap();
        check(&config).map_or_else(|error| error.to_string(), |()| "none".to_owned())
    }

    #[test]
    fn a_role_that_shares_its_store_is_refused_one_of_a_single_process() {
        for role in ["--role=dcm", "--role=synchronizer"] {
            for store in ["--store=sled:x", "--store=memory:"] {
                let fault = fault(&[role, store]);
                assert!(fault.contains("belongs to one process") && fault.contains("mongodb://"), "{fault}");
            }
        }
        assert_eq!(fault(&[&["--role=ca", "--store=sled:x"], &MUTUAL[..]].concat()), "none");
    }

    #[test]
    fn a_ca_is_refused_a_store_that_forgets_its_roots() {
        let fault = fault(&[&["--role=ca", "--store=memory:"], &MUTUAL[..]].concat());
        assert!(fault.contains("--store sled:"), "{fault}");
    }

    #[test]
    fn what_goes_between_roles_is_for_those_alone_who_are_named() {
        for left_out in MUTUAL {
            let mut options = vec!["--role=ca", "--store=sled:x"];
            options.extend(MUTUAL.into_iter().filter(|option| *option != left_out));
            assert_ne!(fault(&options), "none", "without {left_out}");
        }
    }

    #[test]
    fn only_main_servers_have_a_ca_in_another_process() {
        let memory = "--store=memory:";
        assert_eq!(fault(&[memory, "--ca=builtin"]), "none");
        assert_eq!(fault(&[memory, "--ca=http://ca:9078"]), "none");
        let secure = [memory, "--ca=https://ca:9078"];
        let said = fault(&secure);
        assert!(said.contains("--ca https://ca:9078") && said.contains("--peer-ca"), "{said}");
        assert_eq!(fault(&[&secure[..], &["--peer-ca=a"]].concat()), "none");
        let said = fault(&[&["--role=ca", "--store=sled:x", "--ca=http://ca:9078"], &MUTUAL[..]].concat());
        assert!(said.contains("--role ca") && said.contains("leave --ca out"), "{said}");
        #[cfg(feature = "mongodb")]
        {
            let shared = ["--store=mongodb://h/d", "--encryption-key-file=k", "--ca=http://ca:9078"];
            assert_eq!(fault(&[&shared[..], &["--role=dcm"]].concat()), "none");
            let said = fault(&[&shared[..], &["--role=synchronizer"], &MUTUAL].concat());
            assert!(said.contains("leave --ca out"), "{said}");
        }
    }

    #[test]
    fn only_the_main_role_leaves_its_work_to_another_process() {
        let remote = "--synchronizer=http://s:9078";
        assert!(fault(&["--store=memory:", remote]).contains("--role dcm"));
        #[cfg(feature = "mongodb")]
        {
            let shared = ["--store=mongodb://h/d", "--encryption-key-file=k"];
            let with = |more: [&'static str; 2]| fault(&[shared, more].concat());
            assert_eq!(with(["--role=dcm", remote]), "none");
            assert!(with(["--role=synchronizer", remote]).contains("leave --synchronizer out"));
            assert!(with(["--role=dcm", "--synchronizer=simulated"]).contains("--role all"));
            let simulated = ["--role=synchronizer", "--synchronizer=simulated"];
            assert!(with(simulated).contains("mutual TLS"));
            assert_eq!(fault(&[&shared[..], &simulated, &MUTUAL].concat()), "none");
            assert!(with(["--role=dcm", "--synchronizer=https://s:9078"]).contains("--peer-ca"));
        }
    }
}
