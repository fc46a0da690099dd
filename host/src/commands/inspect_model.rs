use std::path::PathBuf;

use anyhow::Result;
use residua_edge::engine::native::kernel;

use crate::{console, model::Model};

/// Prints what a model costs on a device, layer by layer.
///
/// Shapes are channels x kernel; MACs are multiply-accumulates for one image; rows and bytes are
/// what the native engine keeps of a layer's output; late is the number of image rows that must
/// be there beyond those under a row of the layer's output.
#[derive(clap::Args)]
pub struct Args {
    /// The model: a folder with model.onnx and manifest.json, or the .onnx file alone.
    #[arg(value_name = "MODEL")]
    model: PathBuf,
}

impl Args {
    pub fn run(self) -> Result<()> {
        let model = Model::open(&self.model)?;
        let net = model.net()?;
        let plan = model.plan(&net)?;
        let manifest = model.manifest();
        console::print(&format!(
            "{} ({}), {} images on a {} graph",
            manifest.name, manifest.preset, manifest.input, manifest.graph
        ))?;
        console::print(
            "layer            in  out  kernel  stride      output      MACs    rows     bytes  late",
        )?;
        for (index, (layer, planned)) in net.layers().iter().zip(plan.layers()).enumerate() {
            console::print(&format!(
                "{:<14} {:>4} {:>4}  {:>6}  {:>6}  {:>10}  {:>8}  {:>6}  {:>8}  {:>4}",
                layer.name,
                layer.input_channels,
                layer.channels(),
                format!("{0}x{0}", layer.kernel),
                if layer.depth_to_space {
                    "1/2".into()
                } else {
                    layer.stride.to_string()
                },
                net.output_size(index).to_string(),
                millions(net.layer_macs(index)),
                planned.ring_rows,
                planned.ring_bytes,
                planned.latency_rows,
            ))?;
        }
        console::print(&format!(
            "in all: {} MACs an image; reconstruction {} rows after the image; arena {} bytes, \
             weights {} bytes for the {} kernel",
            millions(net.macs()),
            plan.latency_rows(),
            plan.arena_len(),
            plan.weights_len(kernel::best()),
            kernel::best().name()
        ))
    }
}

fn millions(macs: u64) -> String {
    format!("{:.2}M", macs as f64 / 1e6)
}
