//! Logs: to standard error, as text or as JSON.

use std::{error::Error, fmt, io::IsTerminal as _, panic::PanicHookInfo};

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error("--log must be a level (error, warn, info, debug, trace) or directives such as info,dcm_server=debug")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// There is one already.
    #[error("logging was set up already")]
    Twice,
}

/// Sets logging up for this process, panics included ([`log_panics`]).
///
/// # Errors
/// [`TelemetryError`].
pub fn init(filter: &str, format: LogFormat) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(filter).map_err(TelemetryError::Filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let done = match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    done.map_err(|_| TelemetryError::Twice)?;
    log_panics();
    Ok(())
}

/// Has panics of this process logged by where they were. Their message is left out unless it is a text of the program's own: one that
/// was put together may quote what a client sent, secrets included.
pub fn log_panics() {
    std::panic::set_hook(Box::new(log_panic));
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let message =
        panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("(may quote a client, and is not logged)");
    tracing::error!(place, message, "a panic");
}

/// An error with all that led to it, in one line.
pub fn chain(error: &dyn Error) -> impl fmt::Display + '_ {
    struct Chain<'a>(&'a dyn Error);

    impl fmt::Display for Chain<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}", self.0)?;
            let mut source = self.0.source();
            while let Some(error) = source {
                write!(f, ": {error}")?;
                source = error.source();
            }
            Ok(())
        }
    }

    Chain(error)
}
