//! `docs/faults.md`: what each fault looks like and what heals it. The tests take what they expect from there.

use std::collections::BTreeSet;

use dcm_core::sync::{Outlook, Reason};

const PAGE: &str = include_str!("../../../docs/faults.md");
const REASONS: &str = include_str!("../../../dcm-core/src/sync/failure.rs");
const TESTS: [&str; 7] = [
    include_str!("answers.rs"),
    include_str!("credential.rs"),
    include_str!("namespace.rs"),
    include_str!("objects.rs"),
    include_str!("server.rs"),
    include_str!("trust.rs"),
    include_str!("webhook.rs"),
];

/// What a status shows of a fault.
pub(crate) struct Expected {
    pub(crate) reason: String,
    /// What stands in the text of a part.
    pub(crate) words: Vec<String>,
}

/// The cells of the rows of the table under a heading.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, section) = PAGE.split_once(&format!("\n## {heading}\n")).unwrap();
    let rows = section.lines().take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with('|'));
    rows.skip(2).map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

fn in_backticks(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// What the page says of a fault.
pub(crate) fn fault(name: &str) -> Expected {
    let rows = table("Faults that were tried");
    let row =
        rows.iter().find(|row| row[0] == name).unwrap_or_else(|| panic!("docs/faults.md has no fault \"{name}\""));
    Expected { reason: in_backticks(row[1]).remove(0), words: in_backticks(row[2]) }
}

#[test]
fn every_reason_has_its_row_and_every_row_its_reason() {
    let (_, list) = REASONS.split_once("\nreasons! {\n").unwrap();
    let (list, _) = list.split_once("\n}\n").unwrap();
    let lines = list.lines().map(str::trim).filter(|line| !line.starts_with("//") && !line.starts_with("#["));
    let known: Vec<&str> = lines.map(|line| line.split_once(':').unwrap().0).collect();
    assert!(known.len() > 15, "{known:?}");
    let rows = table("Reasons");
    let told: Vec<String> = rows.iter().map(|row| in_backticks(row[0]).remove(0)).collect();
    assert_eq!(told, known);
    for (row, reason) in rows.iter().zip(known) {
        let reason: Reason = serde_json::from_value(reason.into()).unwrap();
        let outlook = match reason.outlook() {
            Outlook::Away => "away",
            Outlook::Waiting => "waits",
            Outlook::Refused => "refused",
        };
        assert_eq!(row[1], outlook, "{reason}");
        assert!(row.len() == 4 && row[2..].iter().all(|cell| cell.len() > 15), "{row:?}");
    }
}

#[test]
fn every_fault_of_the_page_is_tried() {
    let reasons: BTreeSet<String> = table("Reasons").iter().map(|row| in_backticks(row[0]).remove(0)).collect();
    for row in table("Faults that were tried") {
        let quoted = format!("\"{}\"", row[0]);
        assert!(TESTS.iter().any(|test| test.contains(&quoted)), "no test tries {quoted}");
        let expected = fault(row[0]);
        assert!(reasons.contains(&expected.reason), "{row:?}");
        assert!(!expected.words.is_empty() && !row[3].is_empty(), "{row:?}");
    }
}
