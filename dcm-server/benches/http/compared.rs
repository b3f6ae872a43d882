//! Servers side by side: rounds in turn, and a table of their medians.

use anyhow::Result;

use super::load::{Measured, Server, median};

/// Measures so many rounds of each server, in turn, so that what else the machine does hits all of them; `round` is told which one it is.
pub(crate) async fn in_turn(
    servers: &[(&str, &Server)],
    rounds: usize,
    round: impl AsyncFn(usize, &Server) -> Result<Measured>,
) -> Result<Vec<Vec<Measured>>> {
    let mut results: Vec<Vec<Measured>> = servers.iter().map(|_| Vec::new()).collect();
    for number in 0..=rounds {
        for (at, ((_, server), results)) in servers.iter().zip(&mut results).enumerate() {
            let measured = round(at, server).await?;
            // The first one warms up.
            if number > 0 {
                results.push(measured);
            }
        }
    }
    Ok(results)
}

/// Prints the medians beside those of the first server, which answers a constant, and of the second one, which has layers as well.
pub(crate) fn print(what: &str, servers: &[(&str, &Server)], results: &[Vec<Measured>]) {
    let (by_clock, by_cpu) = (format!("{what}/s"), format!("{what}/cpu-s"));
    println!(
        "{:<16} {by_clock:>10} {:>6} {by_cpu:>12} {:>6} {:>6} {:>9} {:>9}",
        "", "ratio", "ratio", "layers", "p50 us", "p99 us"
    );
    let by_cpu = |at: usize| median(&results[at], |m| m.per_cpu_second);
    for (at, (name, _)) in servers.iter().enumerate() {
        let by_clock = median(&results[at], |m| m.per_second);
        println!(
            "{name:<16} {by_clock:>10.0} {:>6.2} {:>12.0} {:>6.2} {:>6.2} {:>9.0} {:>9.0}",
            by_clock / median(&results[0], |m| m.per_second),
            by_cpu(at),
            by_cpu(at) / by_cpu(0),
            by_cpu(at) / by_cpu(1),
            median(&results[at], |m| m.p50),
            median(&results[at], |m| m.p99),
        );
    }
}
