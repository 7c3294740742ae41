//! The oracle, held against hosts that break each rule.

use serde_json::json;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// Five records, and a sink without results that sends them one by one.
fn oracle() -> Oracle {
    let records = Records::new(1, 2);
    let oracle = Oracle::new("sink", records, Framing::Single, Promise::None, MINUTE);
    oracle.issue(5);
    oracle.begin();
    oracle
}

fn send(oracle: &Oracle, incarnation: u16, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        let text = oracle.records.text(number);
        let sent = oracle
            .sent(incarnation, text.as_bytes())
            .expect("a record of the sink");
        assert_eq!(sent.0, [number]);
    }
}

fn deliver(oracle: &Oracle, incarnation: u16, numbers: impl IntoIterator<Item = u64> + Clone) {
    send(oracle, incarnation, numbers.clone());
    oracle.accepted(incarnation, numbers);
}

fn letter(oracle: &Oracle, number: u64) -> String {
    format!(
        "{}\n",
        json!({ "event": { "data": oracle.records.text(number) }, "cause": "timed-out" })
    )
}

#[test]
fn a_record_without_an_end_is_lost() {
    let oracle = oracle();
    deliver(&oracle, 1, 0..3);
    oracle.letters(1, &letter(&oracle, 3));
    send(&oracle, 1, [4]);

    let report = oracle.judge();

    assert_eq!(
        (report.lost, &*report.violations),
        (1, &[Violation::Lost(4)][..])
    );
    assert_eq!(
        (
            report.counts.delivered,
            report.counts.letters,
            oracle.ended()
        ),
        (3, 1, 4)
    );
}

#[test]
fn a_delivery_whose_result_is_missing_is_lost() {
    let oracle = oracle().with_results();
    deliver(&oracle, 1, 0..5);

    oracle.results(
        &(0..4)
            .map(|number| format!("{}\n", json!({ "body": number.to_string() })))
            .collect::<String>(),
    );

    assert_eq!(oracle.judge().violations, [Violation::Lost(4)]);
}

#[test]
fn one_incarnation_ends_a_record_once_and_the_next_may_do_it_again() {
    type Faulty = fn(&Oracle);
    let table: [(Faulty, &[Violation]); 5] = [
        (
            |oracle| deliver(oracle, 1, [2]),
            &[Violation::SentAfterItsEnd(2)],
        ),
        (
            |oracle| oracle.letters(1, &letter(oracle, 2)),
            &[Violation::DeliveredAndLettered(2)],
        ),
        (
            |oracle| {
                oracle.letters(2, &letter(oracle, 2).repeat(2));
            },
            &[Violation::TwoLetters(2)],
        ),
        (|oracle| deliver(oracle, 2, [2]), &[]),
        (|oracle| oracle.letters(2, &letter(oracle, 2)), &[]),
    ];
    for (faulty, expected) in table {
        let oracle = oracle();
        deliver(&oracle, 1, 0..5);

        faulty(&oracle);

        assert_eq!(oracle.judge().violations, expected);
    }
}

#[test]
fn a_letter_that_names_a_refusal_needs_one_of_its_incarnation() {
    let refused = |oracle: &Oracle| letter(oracle, 4).replace("timed-out", "status");
    let not_refused = [Violation::NotRefused(4, "status".to_owned())];
    type Told = fn(&Oracle);
    let table: [(Told, &[Violation]); 4] = [
        (|_| {}, &not_refused),
        (|oracle| oracle.refused(2, [4]), &[]),
        (|oracle| oracle.refused(1, [4]), &not_refused),
        (Oracle::is_not_told_of_refusals, &[]),
    ];
    for (tell, expected) in table {
        let oracle = oracle();
        deliver(&oracle, 1, 0..4);
        oracle.begin();
        send(&oracle, 2, [4]);

        tell(&oracle);
        oracle.letters(2, &refused(&oracle));

        assert_eq!(oracle.judge().violations, expected);
    }
}

#[test]
fn a_record_stands_once_in_a_call() {
    let oracle = Oracle::new(
        "sink",
        Records::new(1, 2),
        Framing::Array,
        Promise::None,
        MINUTE,
    );
    oracle.issue(1);
    oracle.begin();
    let text = oracle.records.text(0);

    oracle.sent(1, format!("[{text},{text}]").as_bytes());
    oracle.accepted(1, [0]);

    assert_eq!(oracle.judge().violations, [Violation::TwiceInACall(0)]);
}

#[test]
fn what_is_sent_again_long_after_its_success_may_have_timed_out() {
    let oracle = Oracle::new(
        "sink",
        Records::new(1, 2),
        Framing::Single,
        Promise::None,
        Duration::ZERO,
    );
    oracle.issue(1);
    oracle.begin();

    deliver(&oracle, 1, [0]);
    deliver(&oracle, 1, [0]);

    let report = oracle.judge();
    assert_eq!((report.violations, report.counts.duplicates), (vec![], 1));
}

#[test]
fn letters_and_results_of_nobody_are_invented() {
    let oracle = oracle();
    deliver(&oracle, 1, 0..4);

    oracle.letters(1, "{\"event\":{\"data\":\"x\"}}\n");
    oracle.letters(1, &letter(&oracle, 4).replace("k-0", "k-1"));
    oracle.letters(1, &letter(&oracle, 5));
    oracle.results("{\"body\":\"4\"}\n");

    let violations = oracle.judge().violations;
    assert!(
        matches!(
            &*violations,
            [
                Violation::Foreign(_),
                Violation::Altered(4, _),
                Violation::Invented(5),
                Violation::Foreign(_),
                Violation::Lost(4)
            ]
        ),
        "{violations:?}"
    );
}

#[test]
fn an_end_that_a_power_cut_takes_is_none() {
    let oracle = oracle();
    deliver(&oracle, 1, 0..4);
    oracle.letters(1, &letter(&oracle, 4));

    oracle.take_back(&letter(&oracle, 4), "");

    assert_eq!(oracle.judge().violations, [Violation::Lost(4)]);
}

#[test]
fn a_line_that_a_kill_has_cut_off_is_no_foreign_one() {
    let oracle = oracle();
    deliver(&oracle, 1, 0..5);
    oracle.begin();

    oracle.letters(2, "{\"event\":{\"id\n");
    oracle.results("{\n");
    let cut_off = oracle.judge().violations;
    // Once: a second one is none, though it is the first of what is read in one go.
    oracle.letters(2, "{\n");
    oracle.letters(2, &letter(&oracle, 4));

    assert_eq!(cut_off, []);
    assert_eq!(
        oracle.judge().violations,
        [Violation::Foreign("{".to_owned())]
    );
}
