//! A door in a process of its own, reached over its standard input and output.

use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;
use slotwise::Error;

use crate::door::{Door, broken};

/// A door in a process of its own.
///
/// The driver writes `call OP NARGS\n`, then for each argument `LEN\n`, that many bytes and `\n`; or `reset\n`. The
/// door answers `ok LEN\n` or `err LEN\n`, that many bytes of JSON and `\n`. It ends when its input ends.
#[derive(Debug)]
pub struct ProcessDoor {
    name: String,
    child: Child,
    /// `None` only while the door is being dropped: closing it is what ends the child.
    input: Option<BufWriter<ChildStdin>>,
    output: BufReader<ChildStdout>,
    /// Why this door is unusable, once it is.
    dead: Option<String>,
}

impl ProcessDoor {
    /// Starts `command` as the door `name`; its standard error goes to ours.
    ///
    /// # Errors
    ///
    /// When the command cannot be started.
    pub fn spawn(name: impl Into<String>, command: &mut Command) -> std::io::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(std::io::Error::other("the child has no pipes"));
        };
        Ok(ProcessDoor {
            name: name.into(),
            child,
            input: Some(BufWriter::new(input)),
            output: BufReader::new(output),
            dead: None,
        })
    }

    fn exchange(
        &mut self,
        request: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> Result<Value, Error> {
        if let Some(reason) = &self.dead {
            return Err(broken(reason));
        }
        let answer = self.try_exchange(request).map_err(|error| {
            let reason = format!("the {} door broke off: {error}", self.name);
            self.dead = Some(reason.clone());
            broken(reason)
        })?;
        match answer {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| broken(format!("the {} door's result is not JSON: {error}", self.name))),
            Err(text) => Err(serde_json::from_slice(&text).unwrap_or_else(|error| {
                broken(format!(
                    "the {} door's error is no error document: {error}: {}",
                    self.name,
                    String::from_utf8_lossy(&text)
                ))
            })),
        }
    }

    /// One round trip: the bytes of a result, or those of an error document.
    fn try_exchange(
        &mut self,
        request: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> std::io::Result<Result<Vec<u8>, Vec<u8>>> {
        let input = self.input.as_mut().ok_or_else(|| std::io::Error::other("its input is closed"))?;
        request(input)?;
        input.flush()?;
        let mut head = String::new();
        if self.output.read_line(&mut head)? == 0 {
            return Err(std::io::Error::other("it ended"));
        }
        let malformed = || std::io::Error::other(format!("it answered {head:?}"));
        let (verdict, length) = head.trim_end().split_once(' ').ok_or_else(malformed)?;
        let length: usize = length.parse().map_err(|_| malformed())?;
        let mut text = vec![0; length];
        self.output.read_exact(&mut text)?;
        let mut end = [0];
        self.output.read_exact(&mut end)?;
        match (verdict, end) {
            ("ok", [b'\n']) => Ok(Ok(text)),
            ("err", [b'\n']) => Ok(Err(text)),
            _ => Err(malformed()),
        }
    }
}

impl Door for ProcessDoor {
    fn name(&self) -> &str {
        &self.name
    }

    fn call(&mut self, op: &str, args: &[String]) -> Result<Value, Error> {
        self.exchange(|input| {
            writeln!(input, "call {op} {}", args.len())?;
            for arg in args {
                writeln!(input, "{}", arg.len())?;
                input.write_all(arg.as_bytes())?;
                input.write_all(b"\n")?;
            }
            Ok(())
        })
    }

    fn reset(&mut self) {
        // A failure is remembered and comes out of the next call.
        let _ = self.exchange(|input| input.write_all(b"reset\n"));
    }
}

impl Drop for ProcessDoor {
    fn drop(&mut self) {
        self.input = None;
        if self.dead.is_some() {
            // It may be stuck in the middle of an answer and not see that its input has ended.
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
