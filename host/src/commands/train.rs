use anyhow::Result;

#[derive(clap::Args)]
pub struct Args {}

impl Args {
    pub fn run(self) -> Result<()> {
        anyhow::bail!("not built yet")
    }
}
