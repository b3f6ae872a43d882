//! GET of a logical cloud, and of a page of them, over HTTP, out of many and out of few.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use crate::{copies, server, server::Server};

const FEW: usize = 1_000;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(1);
const TARGET: f64 = 1.5;

/// How many logical clouds, and pages, are asked for again and again.
const USED: usize = 1_000;
const PAGES: usize = 100;

/// What is asked for, by a number that differs each time and how many there are.
type Asked = fn(usize, usize) -> String;

const ALL: [(&str, Asked); 5] = [
    ("GET, of 1,000 that are used", |chance, count| cloud(chance % USED * (count / USED))),
    ("GET, of all", |chance, count| cloud(chance % count)),
    ("page of 100, the first", |_, _| format!("{PATH}?limit=100")),
    // The last tenth has no whole page after it.
    ("page of 100, of 100 that are used", |chance, count| {
        format!("{PATH}?limit=100&after={}", copies::name(chance % PAGES * (count * 9 / 10 / PAGES)))
    }),
    ("page of 100, from anywhere", |chance, count| {
        format!("{PATH}?limit=100&after={}", copies::name(chance % (count * 9 / 10)))
    }),
];

const PATH: &str = "/v2/projects/walmart/logical-clouds";

pub(crate) fn compare(clouds: usize) -> Result<()> {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut servers = Vec::new();
    for count in [FEW, clouds] {
        let directory = place.path().join(count.to_string());
        server::run(&[server::FILL, &directory.to_string_lossy(), &count.to_string(), "0"])?;
        servers.push((Server::start(&directory)?, count));
    }
    println!("over HTTP, one connection: µs each (median of {ROUNDS} rounds in turn)");
    println!("{:<34} {FEW:>9} {clouds:>9} {:>6}", "", "ratio");
    for (what, asked) in ALL {
        let mut times = [Vec::new(), Vec::new()];
        // The first round warms up.
        for round in 0..=ROUNDS {
            for (times, (server, count)) in times.iter_mut().zip(&servers) {
                let took = measure(server, round, *count, asked)?;
                if round > 0 {
                    times.push(took);
                }
            }
        }
        let [few, many] = times.map(median);
        let verdict = if many / few <= TARGET { "PASS" } else { "BELOW" };
        println!("{what:<34} {few:>9.1} {many:>9.1} {:>6.2}   target {TARGET}: {verdict}", many / few);
    }
    for (server, count) in servers {
        println!("with {count} logical clouds: {} MiB resident", server.resident()? / 1024);
        server.stop()?;
    }
    Ok(())
}

fn cloud(n: usize) -> String {
    format!("{PATH}/{}", copies::name(n))
}

/// Asks for one after the other; answers how many microseconds each took.
fn measure(server: &Server, round: usize, count: usize, what: Asked) -> Result<f64> {
    let mut stream = TcpStream::connect(server.address)?;
    stream.set_nodelay(true)?;
    let (start, mut asked, mut buffer) = (Instant::now(), 0, vec![0; 1024 * 1024]);
    while start.elapsed() < ROUND {
        // Steps that have no factor in common with either number.
        let chance = (round * 1_000_003 + asked) * 7_368_787;
        let request = format!("GET {} HTTP/1.1\r\nhost: {}\r\n\r\n", what(chance, count), server.address);
        stream.write_all(request.as_bytes())?;
        let (mut filled, mut expected) = (0, None);
        while expected.is_none_or(|expected| filled < expected) {
            let read = stream.read(&mut buffer[filled..])?;
            ensure!(read > 0, "the server closed the connection");
            filled += read;
            expected = length(&buffer[..filled])?;
        }
        asked += 1;
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / asked as f64)
}

/// The length of the answer, once its head is there.
fn length(answer: &[u8]) -> Result<Option<usize>> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&answer[..end])?.to_ascii_lowercase();
    ensure!(head.starts_with("http/1.1 200 "), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).context("no content-length")?;
    Ok(Some(end + 4 + length.trim().parse::<usize>()?))
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
