//! The parts of a measurement are processes of their own, so that the work of one does not blur the figures
//! of another: this program starts itself in another role, and asks it in lines of JSON.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Lines, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// A part at work. It ends when it is dropped.
pub(crate) struct Part {
    process: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Part {
    /// Starts this program with other arguments.
    pub(crate) fn start(arguments: &[&str]) -> Result<Self> {
        let mut process =
            Command::new(env::current_exe()?).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let questions = process.stdin.take().context("no input")?;
        let answers = BufReader::new(process.stdout.take().context("no output")?).lines();
        Ok(Self { process, questions, answers })
    }

    /// Has a part do something, and answers what it says.
    pub(crate) fn ask(&mut self, question: &Value) -> Result<Value> {
        writeln!(self.questions, "{question}")?;
        let answer: Value = serde_json::from_str(&self.answers.next().context("a part has ended")??)?;
        if let Some(error) = answer["error"].as_str() {
            bail!("{}: {error}", question["do"]);
        }
        Ok(answer)
    }

    /// As [`ask`](Self::ask), with a command that needs nothing else.
    pub(crate) fn tell(&mut self, command: &str) -> Result<Value> {
        self.ask(&json!({ "do": command }))
    }

    /// Processor time used so far, in seconds.
    pub(crate) fn cpu(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let fields: Vec<&str> = stat.rsplit(')').next().context("no stat")?.split_whitespace().collect();
        Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a part can do.
pub(crate) trait Role {
    /// Does what is asked, and says what came of it.
    async fn answer(&mut self, question: &Value) -> Result<Value>;
}

/// Plays a role until nobody asks any more.
pub(crate) fn play(runtime: &Runtime, mut role: impl Role) -> Result<()> {
    for question in std::io::stdin().lines() {
        let question: Value = serde_json::from_str(&question?)?;
        let answer = match runtime.block_on(role.answer(&question)) {
            Ok(answer) => answer,
            Err(error) => json!({ "error": format!("{error:#}") }),
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

/// A number of a question or an answer.
pub(crate) fn number(value: &Value, field: &str) -> usize {
    value[field].as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or(0)
}
