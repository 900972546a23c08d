//! How throughput grows with batch, timesteps and units.

use super::engines::{Cell, Shape};
use super::{Bench, Times};
use plotters::prelude::*;
use std::error::Error;
use std::path::Path;

/// An axis: what it is called, and the shapes along it.
type Sweep = (&'static str, fn(usize) -> [usize; 4], &'static [usize]);

const SWEEPS: [Sweep; 3] = [
    ("batch (32 timesteps, 128 features and units)", |n| [n, 32, 128, 128], &[1, 2, 4, 8, 16, 32, 64, 128]),
    ("timesteps (batch 4, 128 features and units)", |n| [4, n, 128, 128], &[4, 8, 16, 32, 64, 128, 256, 512]),
    ("units, and as many features (batch 4, 32 timesteps)", |n| [4, 32, n, n], &[8, 16, 32, 64, 128, 256, 512, 1024]),
];

/// For each value along an axis, burn's and birnn's GFLOP/s, of each that is measured.
type Points = Vec<(f64, [Option<f64>; 2])>;

pub fn draw(bench: &Bench, path: &Path) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(path, (1500, 860)).into_drawing_area();
    root.fill(&WHITE)?;
    let title = format!("One bidirectional layer on {}: GFLOP/s", bench.birnn.info().name);
    let area = root.titled(&title, ("sans-serif", 22))?;
    for (panel, (cell, sweep)) in area.split_evenly((2, 3)).iter().zip(panels()) {
        let points = measure(bench, cell, sweep);
        draw_panel(panel, cell, sweep.0, &points)?;
    }
    root.present()?;
    println!("\nwritten: {}", path.display());
    Ok(())
}

fn panels() -> impl Iterator<Item = (Cell, Sweep)> {
    [Cell::Lstm, Cell::Gru].into_iter().flat_map(|cell| SWEEPS.map(|sweep| (cell, sweep)))
}

fn measure(bench: &Bench, cell: Cell, (axis, shape, values): Sweep) -> Points {
    println!("\n{cell:?}, {axis}\n\n| | burn, GFLOP/s | birnn, GFLOP/s |\n|---|---|---|");
    let point = |&value: &usize| {
        let shape = Shape(shape(value));
        let Times { burn, birnn } = bench.measure(cell, shape);
        let times = [burn.map(|(burn, _)| burn), Some(birnn)];
        let rates = times.map(|time| time.map(|time| shape.flops(cell) / time.as_secs_f64() / 1e9));
        let [burn, birnn] = rates.map(|rate| rate.map_or_else(String::new, |rate| format!("{rate:.3}")));
        println!("| {value} | {burn} | {birnn} |");
        (value as f64, rates)
    };
    values.iter().map(point).collect()
}

fn draw_panel<DB: DrawingBackend>(
    area: &DrawingArea<DB, plotters::coord::Shift>,
    cell: Cell,
    axis: &str,
    points: &Points,
) -> Result<(), Box<dyn Error>>
where
    DB::ErrorType: 'static,
{
    let (first, last) = (points[0].0, points[points.len() - 1].0);
    let rates = points.iter().flat_map(|(_, rates)| rates).flatten();
    let (low, high) = rates.fold((f64::MAX, f64::MIN), |(low, high), &rate| (low.min(rate), high.max(rate)));
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{cell:?}: {axis}"), ("sans-serif", 15))
        .margin(8)
        .x_label_area_size(30)
        .y_label_area_size(50)
        .build_cartesian_2d((first..last).log_scale(), (low / 1.5..high * 1.5).log_scale())?;
    chart.configure_mesh().x_label_formatter(&|x| format!("{x:.0}")).y_desc("GFLOP/s").draw()?;
    for (engine, (name, color)) in [("burn", RED), ("birnn", BLUE)].into_iter().enumerate() {
        let line: Vec<_> = points.iter().filter_map(|(value, rates)| Some((*value, rates[engine]?))).collect();
        if line.is_empty() {
            continue;
        }
        chart
            .draw_series(LineSeries::new(line.clone(), color.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
        chart.draw_series(line.into_iter().map(|point| Circle::new(point, 3, color.filled())))?;
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
    Ok(())
}
