//! What hosts ask for, and what they are answered.

use residua_shared::wire::{
    Answer, Capabilities, Command, FaultKind, Message, Pong, Refusal, Request,
};

use super::Link;
use crate::{
    events::{Level, log},
    models::Models,
    station::{Capture, lock},
};

impl Link {
    /// Does what the host at `index` asks for, and answers.
    pub(super) fn obey(&mut self, index: usize, request: Request) {
        let Request { id, command } = request;
        let answer = match command {
            Command::Acknowledge { part } => return self.acknowledge(index, part),
            Command::Ping => Message::Pong(Pong {
                request: id,
                time: self.station.clock.now(),
            }),
            Command::Identify => Message::Hello(self.station.hello()),
            Command::Stats => Message::Stats(self.station.stats()),
            command => {
                let result = self.change(index, command);
                if let Err(refusal) = result {
                    log(
                        Level::Warn,
                        "command_refused",
                        &[("host", &self.hosts[index].name), ("why", &refusal)],
                    );
                }
                Message::Answer(Answer {
                    request: id,
                    result,
                })
            }
        };
        self.hosts[index].send(&answer);
    }

    /// Obeys a command that changes something.
    fn change(&mut self, index: usize, command: Command) -> Result<(), Refusal> {
        match command {
            Command::SetThreshold(threshold) => {
                self.station.set_threshold(threshold)?;
                log(Level::Info, "threshold_set", &[("steps", &threshold.raw)]);
                Ok(())
            }
            Command::Capture => self.capture(index),
            Command::Reboot => {
                log(
                    Level::Warn,
                    "restart_asked_for",
                    &[("host", &self.hosts[index].name)],
                );
                self.station.stop();
                Ok(())
            }
            Command::BeginModel { header, signature } => {
                let begun = self.models()?.begin(header, signature);
                self.reported(begun)
            }
            Command::ModelChunk { offset, bytes } => self.models()?.chunk(offset, &bytes),
            Command::CommitModel => {
                let committed = self.models()?.commit();
                let model = self.reported(committed)?;
                self.station.change_model(model);
                Ok(())
            }
            _ => Err(Refusal::Unsupported),
        }
    }

    fn models(&mut self) -> Result<&mut Models, Refusal> {
        self.models.as_mut().ok_or(Refusal::Unsupported)
    }

    /// Every host is told that a model was refused.
    fn reported<T>(&self, result: Result<T, Refusal>) -> Result<T, Refusal> {
        result.inspect_err(|refusal| self.station.fault(FaultKind::Update, refusal))
    }

    fn capture(&mut self, index: usize) -> Result<(), Refusal> {
        if !self.station.can(Capabilities::CAPTURE) {
            return Err(Refusal::Unsupported);
        }
        if self.station.rule().is_none() {
            return Err(Refusal::NoModel);
        }
        if self.capturer.is_some() {
            return Err(Refusal::Busy);
        }
        self.capturer = Some(self.hosts[index].id);
        *lock(&self.station.capture) = Capture::Wanted;
        Ok(())
    }

    /// The host has everything up to `part`. The journal forgets it where the host is the
    /// collector, which the first one is that acknowledges.
    fn acknowledge(&mut self, index: usize, part: u64) {
        let host = &mut self.hosts[index];
        host.acknowledge(part);
        if *self.collector.get_or_insert(host.id) != host.id {
            return;
        }
        if let Err(error) = self.station.journal().acknowledge(part) {
            self.station.fault(
                FaultKind::Storage,
                format_args!("journal: {error}; check the disk"),
            );
        }
    }
}
