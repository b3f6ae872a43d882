//! Why a server does not start.

use std::{io, net::SocketAddr};

use dcm_core::{error::Error, model::StoreOwner, secret};
use dcm_store::{OpenError, encryption::KeyringError};

use crate::{
    config::{PeerAddress, Role},
    tls::FileError,
};

/// Why a server did not start, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address can be reached by others, and nobody would be asked who he is.
    #[error(
        "{0} {1} can be reached from beyond this machine, and nobody is asked who he is: listen on 127.0.0.1, have clients show \
         certificates with --tls-cert, --tls-key and --client-ca, or give --insecure-listen-without-authentication if the network \
         keeps strangers away"
    )]
    BeyondLoopback(&'static str, SocketAddr),
    /// A certificate without its key.
    #[error(
        "--tls-cert is given without --tls-key: give the file with its private key too, or neither, to serve without TLS"
    )]
    NoTlsKey,
    /// A key without its certificate.
    #[error(
        "--tls-key is given without --tls-cert: give the file with its certificate too, or neither, to serve without TLS"
    )]
    NoTlsCert,
    /// Certificates can only be asked for over TLS.
    #[error(
        "--client-ca is given without --tls-cert and --tls-key: clients show certificates over TLS only, so give all three"
    )]
    ClientCaWithoutTls,
    /// Nobody has a name.
    #[error(
        "--allowed-identity is given without --client-ca: without the CA of their certificates nobody knows who clients are, so \
         name its file too"
    )]
    IdentitiesWithoutClientCa,
    /// Half of what is shown to other roles.
    #[error(
        "--peer-cert and --peer-key belong together: give both, or neither, to show other roles the certificate of --tls-cert"
    )]
    HalfOfPeerCert,
    /// What goes between roles is for those alone who are named.
    #[error(
        "--role {0} serves other roles over mutual TLS only: give --tls-cert, --tls-key, --client-ca, and --allowed-identity with the \
         name in the certificate of each main server"
    )]
    NoMutualTls(Role),
    /// Nothing says whom to trust.
    #[error(
        "{option} {address} is reached over TLS: give --peer-ca, the file with the CA that its certificate comes from"
    )]
    NoPeerCa {
        /// The option that names it.
        option: &'static str,
        /// Where it is.
        address: PeerAddress,
    },
    /// A certificate, key or CA cannot be used.
    #[error("TLS cannot be set up")]
    Tls(#[from] FileError),
    /// A role that shares its store with others was given one that belongs to one process.
    #[error(
        "--role {0} shares its store with processes in other roles, and this one belongs to one process: give \
         --store mongodb://HOST/DATABASE, or --role all"
    )]
    StoreOfOneProcess(Role),
    /// A CA that forgets its roots makes others, which nobody trusts, under the same numbers.
    #[error(
        "--role ca keeps the roots of logical clouds, and memory: keeps nothing: give --store sled:DIRECTORY, or a MongoDB database \
         of its own"
    )]
    ForgetfulCa,
    /// The role does not go with what carries work to clusters.
    #[error("--role {role} cannot be had with --synchronizer {synchronizer}: {fix}")]
    Synchronizer {
        /// The role.
        role: Role,
        /// What was to carry work to clusters.
        synchronizer: String,
        /// What to give instead.
        fix: &'static str,
    },
    /// The role asks no CA.
    #[error(
        "--role {role} cannot be had with --ca {address}: main servers alone ask a CA, so leave --ca out, or give --role dcm or all"
    )]
    Ca {
        /// The role.
        role: Role,
        /// Where the CA was said to be.
        address: PeerAddress,
    },
    /// The address cannot be had.
    #[error(
        "{option} {address} cannot be listened on: another program may have the port, or the machine not the address"
    )]
    Listen {
        /// The option that names it.
        option: &'static str,
        /// The address.
        address: SocketAddr,
        /// The system's own error.
        source: io::Error,
    },
    /// The gRPC services cannot be served: a mistake in the making of this program.
    #[error("the gRPC services cannot be served")]
    Services(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store cannot be opened.
    #[error("--store cannot be opened")]
    Store(#[from] OpenError),
    /// Several servers may use the store, so no file beside one of them is the obvious place of the key.
    #[error(
        "--encryption-key-file is required with MongoDB: name a file outside of the database, the same key for every server that \
         uses it; it is made where it is missing, or by: \
         (umask 077; echo \"dcm-key-v1:$(head -c 32 /dev/urandom | base64)\" > FILE)"
    )]
    NoKey,
    /// There is no encryption key.
    #[error("--encryption-key-file cannot be used")]
    Key(#[from] KeyringError),
    /// The encryption key does not work.
    #[error("the encryption of secrets cannot be set up")]
    Encryption(#[from] secret::Error),
    /// The data was written with another encryption key.
    #[error(
        "--encryption-key-file is not the key that the data was written with; give that one: without it users' keys and \
         registered kubeconfigs cannot be read"
    )]
    WrongKey(#[source] secret::Error),
    /// A line of the key file went too early.
    #[error("--encryption-key-file lacks keys that the data may still need")]
    KeysMissing(#[source] secret::Error),
    /// The store holds half of an import.
    #[error("--store cannot be used")]
    Unfinished(#[source] dcm_core::transfer::Error),
    /// A CA and logical clouds do not share a store.
    #[error(
        "--store belongs to {0}, and --role ca has a store of its own: name another one, or start the role that this one was made in"
    )]
    StoreOfOthers(StoreOwner),
    /// The store does not serve.
    #[error("the first records cannot be read or written")]
    Records(#[from] Error),
}
