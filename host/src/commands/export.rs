use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use residua_shared::{
    frame::Size,
    manifest::{Manifest, Quantization, VERSION},
};

use crate::{
    calibrate::{self, Calibrated},
    console, data, export,
    model::{self, Model},
    quantize::{self, Quantized},
    train::run::RunFolder,
};

/// The bytes that manifests have for a name.
const NAME: usize = 64;

/// Writes the integer model of a calibrated run: model.onnx and manifest.json.
#[derive(clap::Args)]
pub struct Args {
    /// The run folder that `residua train --out` made.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The model's folder to make.
    #[arg(long, value_name = "MODEL")]
    out: PathBuf,
    /// The model's name [default: that of the folder].
    #[arg(long)]
    name: Option<String>,
    /// The size of the patches to inspect, for rsdds images [default: as in the calibration].
    #[arg(long, value_name = "WxH", value_parser = data::parse_size)]
    size: Option<Size>,
    /// Train the integers themselves for so many epochs more, and calibrate them anew by the
    /// options of the run's calibration; 0 is post-training quantization.
    #[arg(long, value_name = "N", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(..=100_000))]
    qat_epochs: u32,
    /// The learning rate that those epochs begin with [default: 0.00002].
    #[arg(long = "qat-lr", value_name = "RATE", value_parser = super::positive)]
    qat_learning_rate: Option<f64>,
    /// Replace the model that is in the folder.
    #[arg(long)]
    force: bool,
}

impl Args {
    pub fn run(self) -> Result<()> {
        model::check_place(&self.out, self.force)?;
        ensure!(
            self.qat_epochs > 0 || self.qat_learning_rate.is_none(),
            "--qat-lr: no integers are trained without --qat-epochs; give both, or leave it out"
        );
        let name = self.name()?;
        let run = RunFolder::open(&self.run)?;
        let calibrated = self.calibrated(&run)?;
        let input = calibrated.input;
        let (network, calibrated) = if self.qat_epochs == 0 {
            (quantize::post_training(&run, input)?, calibrated)
        } else {
            self.fine_tuned(&run, &calibrated)?
        };
        let onnx = export::onnx(&network, input.padded_to(network.side_multiple())?)?;
        let manifest = self.manifest(name, &run, calibrated, &network, &onnx)?;
        model::save(&self.out, &onnx, &manifest)?;
        let model = Model::open(&self.out)?;
        console::print(&format!(
            "{}: {} takes {} images, {} KiB",
            self.out.display(),
            model.manifest().name,
            model.manifest().input,
            model.onnx().len().div_ceil(1024)
        ))
    }

    /// The run's calibration; made now at its defaults where there is none.
    fn calibrated(&self, run: &RunFolder) -> Result<Calibrated> {
        if !run.path().join(calibrate::FILE).exists() {
            console::note(format_args!(
                "the run is not calibrated yet; `residua calibrate` has options for it"
            ));
            return calibrate::calibrate_run(run, &calibrate::Options::default(), self.size);
        }
        let calibrated = Calibrated::load(run)?;
        ensure!(
            self.size.is_none_or(|size| size == calibrated.input),
            "--size: the run is calibrated for {} images; run: residua calibrate {} --size ...",
            calibrated.input,
            run.path().display()
        );
        Ok(calibrated)
    }

    fn fine_tuned(
        &self,
        run: &RunFolder,
        calibrated: &Calibrated,
    ) -> Result<(Quantized, Calibrated)> {
        let (input, options) = (calibrated.input, calibrated.options());
        let rate = self.qat_learning_rate.unwrap_or(quantize::LEARNING_RATE);
        let network = quantize::fine_tune(run, input, self.qat_epochs, rate)?;
        let calibrated = calibrate::calibrate_network(run, &network, input, &options)?;
        for warning in &calibrated.warnings {
            console::note(format_args!("warning: {warning}"));
        }
        Ok((network, calibrated))
    }

    fn name(&self) -> Result<String> {
        let folder_name = || self.out.file_name()?.to_str().map(str::to_owned);
        let name = self.name.clone().or_else(folder_name);
        let name = name.unwrap_or_else(|| "model".into());
        ensure!(
            name.len() <= NAME,
            "--name: `{name}` has more than {NAME} bytes; give a shorter one"
        );
        Ok(name)
    }

    fn manifest(
        &self,
        name: String,
        run: &RunFolder,
        calibrated: Calibrated,
        network: &Quantized,
        onnx: &[u8],
    ) -> Result<Manifest> {
        let digest = residua_shared::onnx::digest(onnx)?;
        ensure!(
            digest == calibrated.digest,
            "{}: was made for other weights (digest {}, now {digest}); run: residua calibrate {}",
            run.path().join(calibrate::FILE).display(),
            calibrated.digest,
            run.path().display()
        );
        let bits = calibrated.rule.scale().fraction_bits();
        let net = residua_shared::onnx::read(onnx, bits)?;
        let method = if self.qat_epochs == 0 { "ptq" } else { "qat" };
        Ok(Manifest {
            version: VERSION,
            name: name.as_str().try_into().ok().context("name")?,
            preset: run.preset().as_str().try_into().ok().context("preset")?,
            digest,
            input: calibrated.input,
            graph: calibrated.input.padded_to(run.config().network.stride())?,
            streaming: model::streaming(&net),
            rule: calibrated.rule,
            calibration: calibrated.calibration,
            quantization: Quantization {
                method: method.try_into().ok().context("method")?,
                images: network.images,
            },
            // Where a test folder has grown since, a model's own test part is that of today.
            training: run.training(run.dataset(None)?.digest())?,
        })
    }
}
