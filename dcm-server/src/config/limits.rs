use std::time::Duration;

use clap::Args;

use super::values;

/// How much is served at once, and for how long.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(next_help_heading = "Limits")]
pub struct LimitOptions {
    /// How many connections there may be; more of them wait.
    #[arg(long, env = "DCM_MAX_CONNECTIONS", value_name = "NUMBER", default_value = "10000", value_parser = values::count)]
    pub max_connections: usize,

    /// How many requests are served at once; more of them get 503.
    #[arg(long, env = "DCM_MAX_CONCURRENT_REQUESTS", value_name = "NUMBER", default_value = "10000", value_parser = values::count)]
    pub max_concurrent_requests: usize,

    /// How many watches (?watch=true) there may be, beside those requests; more of them get 503.
    #[arg(long, env = "DCM_MAX_WATCHES", value_name = "NUMBER", default_value = "2000", value_parser = values::count)]
    pub max_watches: usize,

    /// How large the body of a request may be; larger ones get 413.
    #[arg(long, env = "DCM_MAX_BODY_SIZE", value_name = "SIZE", default_value = "1MiB", value_parser = values::body_size)]
    pub max_body_size: usize,

    /// How many bytes of bodies may be in memory for all requests together; a request that finds no room in time gets 503.
    #[arg(long, env = "DCM_MAX_BODIES_IN_MEMORY", value_name = "SIZE", default_value = "256MiB", value_parser = values::memory)]
    pub max_bodies_in_memory: usize,

    /// How many bytes of answers above 16 KiB may wait for their clients, all together; a read that finds no room in time gets 503.
    #[arg(long, env = "DCM_MAX_ANSWERS_IN_MEMORY", value_name = "SIZE", default_value = "512MiB", value_parser = values::memory)]
    pub max_answers_in_memory: usize,

    /// How deep the JSON of a body may be nested; what is deeper gets 400.
    #[arg(long, env = "DCM_MAX_JSON_DEPTH", value_name = "NUMBER", default_value = "64", value_parser = values::depth)]
    pub max_json_depth: usize,

    /// How large the header fields of a request may be; larger ones get 431.
    #[arg(long, env = "DCM_MAX_HEADER_SIZE", value_name = "SIZE", default_value = "32KiB", value_parser = values::header_size)]
    pub max_header_size: usize,

    /// How long the header of a request may take, and how long a connection may be idle.
    #[arg(long, env = "DCM_HEADER_TIMEOUT", value_name = "DURATION", default_value = "30s", value_parser = values::period)]
    pub header_timeout: Duration,

    /// How long the body of a request may take.
    #[arg(long, env = "DCM_BODY_TIMEOUT", value_name = "DURATION", default_value = "20s", value_parser = values::period)]
    pub body_timeout: Duration,

    /// How long an answer may take.
    #[arg(long, env = "DCM_REQUEST_TIMEOUT", value_name = "DURATION", default_value = "30s", value_parser = values::period)]
    pub request_timeout: Duration,

    /// How long a client may take nothing of an answer that is ready before his connection is cut.
    #[arg(long, env = "DCM_WRITE_TIMEOUT", value_name = "DURATION", default_value = "30s", value_parser = values::period)]
    pub write_timeout: Duration,

    /// How long requests in flight may take when the server stops.
    #[arg(long, env = "DCM_STOP_TIMEOUT", value_name = "DURATION", default_value = "10s", value_parser = values::period)]
    pub stop_timeout: Duration,
}
