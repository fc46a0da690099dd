//! The learning curve as a picture.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::{loss::Loss, run::Metrics};

const TRAINED: RGBColor = RGBColor(0x1f, 0x77, 0xb4);
const HELD_OUT: RGBColor = RGBColor(0xd6, 0x27, 0x28);

/// Draws the losses over the epochs, on a logarithmic scale, as SVG.
pub fn draw(log: &[Metrics], loss: &Loss) -> Result<String> {
    let mut svg = String::new();
    draw_into(log, loss, &mut svg).map_err(|error| anyhow!("the learning curve: {error}"))?;
    Ok(svg)
}

fn draw_into(
    log: &[Metrics],
    loss: &Loss,
    svg: &mut String,
) -> Result<(), Box<dyn std::error::Error>> {
    let losses = || log.iter().flat_map(|m| [m.loss, m.held_out_loss]);
    // A loss of 0 has no place on a logarithmic scale, and drawing one that reaches to the limits
    // of f64 never ends.
    let low = losses().fold(f64::MAX, f64::min).clamp(1e-12, 1e12) * 0.8;
    let high = losses().fold(low, f64::max).min(1e12) * 1.25;
    let last = log.last().map_or(1, |m| m.epoch).max(2);

    let root = SVGBackend::with_string(svg, (720, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d(1..last, (low..high).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("epoch")
        .y_desc(format!("loss: {loss}"))
        .y_label_formatter(&|loss| format!("{loss:.1e}"))
        .light_line_style(WHITE)
        .draw()?;
    let mut line = |name: &str, color: RGBColor, loss: fn(&Metrics) -> f64| -> Result<(), _> {
        let points = log.iter().map(move |m| (m.epoch, loss(m).clamp(low, high)));
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
        Ok::<_, Box<dyn std::error::Error>>(())
    };
    line("training", TRAINED, |m| m.loss)?;
    line("held-out good images", HELD_OUT, |m| m.held_out_loss)?;
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    root.present()?;
    drop(chart);
    drop(root);
    Ok(())
}
