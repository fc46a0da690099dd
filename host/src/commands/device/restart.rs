use anyhow::Result;
use residua_shared::wire::Command;

use super::Connection;
use crate::console;

#[derive(clap::Args)]
pub struct Args {}

impl Args {
    pub fn run(self, device: &mut Connection) -> Result<()> {
        device.obey(Command::Reboot)?;
        console::print("the device starts anew")
    }
}
