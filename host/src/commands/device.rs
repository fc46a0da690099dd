//! `residua device`: what runs beside the conveyor, seen and changed from here.

mod capture;
mod collect;
mod connection;
mod key;
mod records;
mod restart;
mod status;
mod threshold;
mod update;
mod watch;

use anyhow::Result;

use connection::Connection;
pub use key::Args as KeyArgs;

/// Speaks to a device that runs residua-edge.
#[derive(clap::Args)]
pub struct Args {
    /// The device: HOST:PORT, or the serial line as /dev/ttyUSB0 or /dev/ttyUSB0@BAUD (115200
    /// where no speed is given).
    #[arg(value_name = "ADDRESS")]
    address: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Print who it is, what it inspects with and what it counted.
    Status(status::Args),
    /// Print verdicts as they come, from the first on that no host has acknowledged.
    Watch(watch::Args),
    /// Send a new model, signed.
    Update(update::Args),
    /// Print the image threshold, or set it until the model changes or the device restarts.
    Threshold(threshold::Args),
    /// Get the next image that the camera takes.
    Capture(capture::Args),
    /// End the program; its system starts it anew. Clears faults of the gate.
    Restart(restart::Args),
}

impl Args {
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::Watch(args) => args.run(&self.address),
            Command::Status(args) => args.run(&mut Connection::open(&self.address)?),
            Command::Update(args) => args.run(&mut Connection::open(&self.address)?),
            Command::Threshold(args) => args.run(&mut Connection::open(&self.address)?),
            Command::Capture(args) => args.run(&mut Connection::open(&self.address)?),
            Command::Restart(args) => args.run(&mut Connection::open(&self.address)?),
        }
    }
}
