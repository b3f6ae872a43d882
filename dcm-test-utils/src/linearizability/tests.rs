//! The judge himself: histories with a known verdict.

use super::*;

fn operation(client: usize, called: u64, returned: u64, call: Call, answer: Answer) -> Operation {
    let returned = (answer != Answer::Unknown).then_some(returned);
    Operation { client, called, returned, call, answer }
}

fn read(called: u64, returned: u64, value: u64) -> Operation {
    operation(9, called, returned, Call::Read, Answer::Found(format!("r{value}"), Some(value)))
}

fn missing(called: u64, returned: u64) -> Operation {
    operation(9, called, returned, Call::Read, Answer::Missing)
}

fn write(called: u64, returned: u64, value: u64, expected: Expected) -> Operation {
    operation(1, called, returned, Call::Write { value, expected }, Answer::Written(format!("r{value}")))
}

fn lost(called: u64, value: u64, expected: Expected) -> Operation {
    operation(2, called, 0, Call::Write { value, expected }, Answer::Unknown)
}

fn delete(called: u64, returned: u64, value: u64) -> Operation {
    operation(3, called, returned, Call::Delete { expected: at(value) }, Answer::Deleted)
}

fn conflict(called: u64, returned: u64, value: u64, expected: Expected) -> Operation {
    operation(4, called, returned, Call::Write { value, expected }, Answer::Conflict)
}

fn at(value: u64) -> Expected {
    Expected::At(format!("r{value}"))
}

fn verdict(operations: &[Operation]) -> String {
    check("a/b", operations).map_or_else(|violation| violation.verdict, |()| "linearizable".to_owned())
}

#[track_caller]
fn assert_explained(operations: &[Operation]) {
    assert_eq!(verdict(operations), "linearizable");
}

#[track_caller]
fn assert_unexplained(operations: &[Operation], returned: u64) {
    let expected = format!("no order of the operations explains the answer that came at {returned}");
    assert_eq!(verdict(operations), expected);
}

const NONE: Expected = Expected::Absent;

#[test]
fn explains_what_was_done_one_after_the_other() {
    assert_explained(&[]);
    assert_explained(&[
        missing(0, 1),
        write(2, 3, 1, NONE),
        read(4, 5, 1),
        conflict(6, 7, 2, NONE),
        write(8, 9, 3, at(1)),
        conflict(10, 11, 4, at(1)),
        delete(12, 13, 3),
        missing(14, 15),
        write(16, 17, 5, NONE),
        read(18, 19, 5),
    ]);
}

#[test]
fn explains_what_overlaps_in_whatever_order_fits() {
    assert_explained(&[write(0, 9, 1, NONE), missing(1, 2), read(3, 4, 1), conflict(5, 6, 2, NONE)]);
    assert_explained(&[write(0, 9, 1, NONE), write(1, 8, 2, at(1)), read(2, 3, 1), read(4, 5, 2)]);
}

#[test]
fn catches_a_write_that_was_lost() {
    assert_unexplained(&[write(0, 1, 1, NONE), missing(2, 3)], 3);
    assert_unexplained(&[write(0, 1, 1, NONE), write(2, 3, 2, at(1)), read(4, 5, 1), read(6, 7, 2)], 5);
}

#[test]
fn catches_a_read_that_goes_back() {
    assert_unexplained(&[write(0, 9, 1, NONE), read(1, 2, 1), missing(3, 4)], 4);
}

#[test]
fn catches_two_winners() {
    assert_unexplained(&[write(0, 1, 1, NONE), write(2, 5, 2, at(1)), write(3, 6, 3, at(1))], 6);
    assert_unexplained(&[write(0, 3, 1, NONE), write(1, 4, 2, NONE)], 4);
}

#[test]
fn catches_a_conflict_without_a_cause() {
    assert_unexplained(&[conflict(0, 1, 1, NONE)], 1);
    assert_unexplained(&[write(0, 1, 1, NONE), conflict(2, 3, 2, at(1))], 3);
}

#[test]
fn catches_what_needs_no_search() {
    let twice = operation(1, 4, 5, Call::Write { value: 2, expected: NONE }, Answer::Written("r1".to_owned()));
    assert!(verdict(&[write(0, 1, 1, NONE), delete(2, 3, 1), twice]).starts_with("a revision names two states"));
    let torn = operation(9, 4, 5, Call::Read, Answer::Found("r2".to_owned(), Some(1)));
    assert!(verdict(&[write(0, 1, 1, NONE), write(2, 3, 2, at(1)), torn]).starts_with("a revision names two states"));
    assert!(verdict(&[read(0, 1, 7)]).starts_with("a value was read that nobody wrote"));
    let renamed = operation(9, 2, 3, Call::Read, Answer::Found("other".to_owned(), Some(1)));
    assert!(verdict(&[write(0, 1, 1, NONE), renamed]).starts_with("a state has two revisions"));
}

#[test]
fn lets_an_unknown_outcome_happen_late_or_never() {
    assert_explained(&[lost(0, 1, NONE), missing(1, 2), missing(3, 4)]);
    assert_explained(&[lost(0, 1, NONE), missing(1, 2), read(3, 4, 1), write(5, 6, 2, at(1))]);
    assert_explained(&[write(0, 1, 1, NONE), lost(2, 2, at(1)), read(3, 4, 1), write(5, 6, 3, at(1)), read(7, 8, 3)]);
}

#[test]
fn lets_an_unknown_outcome_happen_once_and_not_before_its_call() {
    assert_unexplained(&[read(0, 1, 1), lost(2, 1, NONE)], 1);
    assert_unexplained(&[lost(0, 1, NONE), read(1, 2, 1), missing(3, 4)], 4);
    assert_unexplained(&[lost(0, 1, NONE), read(1, 2, 1), delete(3, 4, 1), missing(5, 6), read(7, 8, 1)], 8);
}

#[test]
fn judges_a_write_at_any_revision_and_what_was_not_done() {
    let any = |called, returned, value| write(called, returned, value, Expected::Present);
    let refused = operation(1, 0, 1, Call::Write { value: 1, expected: Expected::Present }, Answer::Missing);
    let given_up = operation(1, 6, 7, Call::Write { value: 4, expected: at(2) }, Answer::NotDone);
    assert_explained(&[refused.clone(), write(2, 3, 2, NONE), any(4, 5, 3), given_up, read(8, 9, 3)]);
    assert_unexplained(&[any(0, 1, 2)], 1);
    let late = Operation { called: 4, returned: Some(5), ..refused };
    assert_unexplained(&[write(2, 3, 2, NONE), late], 5);
}

#[test]
fn shows_the_part_of_the_history_that_it_is_about() {
    let mut operations = vec![write(0, 1, 1, NONE)];
    operations.extend((1..200).map(|n| write(2 * n, 2 * n + 1, n + 1, at(n))));
    operations.push(read(500, 501, 100));
    operations.extend((0..50).map(|n| read(510 + 2 * n, 511 + 2 * n, 200)));
    let violation = check("a/b", &operations).expect_err("a stale read");
    assert_eq!((violation.judged, violation.culprit.called), (201, 500));
    assert!(violation.window.len() < 15, "{violation}");
    assert!(violation.window.iter().any(|operation| operation.answer == Answer::Written("r100".to_owned())));
    let text = violation.to_string();
    assert!(text.contains("-->      9      500      501  read "), "{text}");
}
