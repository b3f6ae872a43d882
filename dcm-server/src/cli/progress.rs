//! How far it is: a bar for a terminal, a line every few seconds for everything else.

use std::{
    fmt,
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use dcm_core::transfer::{Progress, Stage};
use indicatif::{HumanBytes, HumanFloatCount, ProgressBar, ProgressState, ProgressStyle};

/// How often a line is written where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);

/// After how long a stage's pace is shown.
const SETTLED: Duration = Duration::from_millis(500);

pub(super) struct Shown {
    how: How,
    stage: Option<Stage>,
}

enum How {
    Not,
    Bar(ProgressBar),
    Lines(Instant),
}

impl Shown {
    pub(super) fn new(quiet: bool) -> Self {
        let how = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => How::Not,
            (false, true) => How::Bar(ProgressBar::new_spinner()),
            (false, false) => How::Lines(Instant::now()),
        };
        Self { how, stage: None }
    }

    pub(super) fn tell(&mut self, progress: Progress) {
        let new = self.stage.replace(progress.stage) != Some(progress.stage);
        match &mut self.how {
            How::Not => {}
            How::Bar(bar) => {
                if new {
                    // A bar of its own: the place and the pace of another stage say nothing.
                    bar.finish_and_clear();
                    let fresh = ProgressBar::no_length().with_style(style(progress.of.is_some()));
                    *bar = fresh.with_prefix(verb(progress.stage)).with_position(progress.documents);
                }
                if let Some(of) = progress.of {
                    bar.set_length(of);
                }
                bar.set_message(HumanBytes(progress.bytes).to_string());
                bar.set_position(progress.documents);
            }
            How::Lines(last) => {
                if last.elapsed() >= EVERY {
                    *last = Instant::now();
                    say(&progress);
                }
            }
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(self) {
        if let How::Bar(bar) = self.how {
            bar.finish_and_clear();
        }
    }
}

#[expect(clippy::print_stderr, reason = "this is what the command shows")]
fn say(progress: &Progress) {
    let of = progress.of.map(|of| format!(" of {of}")).unwrap_or_default();
    let bytes = HumanBytes(progress.bytes);
    eprintln!("{}: {}{of} documents, {bytes}", verb(progress.stage), progress.documents);
}

fn style(bounded: bool) -> ProgressStyle {
    let template = if bounded {
        "{prefix} {wide_bar} {pos}/{len} documents, {msg}, {pace}, {eta} left"
    } else {
        "{spinner} {prefix} {pos} documents, {msg}, {pace}"
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.with_key("pace", |state: &ProgressState, out: &mut dyn fmt::Write| {
        // Of the first moment it would be any number.
        let pace = if state.elapsed() < SETTLED { 0.0 } else { state.per_sec().round() };
        // What cannot be shown is left out.
        let _ = write!(out, "{}/s", HumanFloatCount(pace));
    })
}

const fn verb(stage: Stage) -> &'static str {
    match stage {
        Stage::Exporting => "exporting",
        Stage::Confirming => "looking for changes",
        Stage::Checking => "checking the file",
        Stage::Comparing => "comparing",
        Stage::Writing => "importing",
        Stage::Undoing => "taking back",
    }
}
