//! Cumulative distributions as an SVG picture.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use plotters::chart::{ChartBuilder, SeriesLabelPosition};
use plotters::drawing::IntoDrawingArea;
use plotters::element::PathElement;
use plotters::prelude::SVGBackend;
use plotters::series::LineSeries;
use plotters::style::{BLACK, Color, Palette, Palette99, WHITE};

const SIZE: (u32, u32) = (900, 540);

/// One line of the picture.
#[derive(Clone, Debug)]
pub struct Distribution {
    /// Its name in the legend.
    pub name: String,
    /// What is distributed, in any order.
    pub samples: Vec<Duration>,
}

impl Distribution {
    /// The staircase: at each sample in milliseconds, the percentage of samples up to it.
    fn stairs(&self, end: f64) -> Vec<(f64, f64)> {
        let mut sorted = self.samples.clone();
        sorted.sort_unstable();
        let mut stairs = vec![(0.0, 0.0)];
        let mut below = 0.0;
        for (number, sample) in (1u32..).zip(&sorted) {
            let at = milliseconds(sample);
            stairs.push((at, below));
            below = 100.0 * f64::from(number) / sorted.len() as f64;
            stairs.push((at, below));
        }
        stairs.push((end, below));
        stairs
    }
}

/// Writes a picture of `lines` to `file`: which percentage took how many milliseconds.
///
/// # Errors
/// If the file cannot be written.
pub fn draw(file: &Path, title: &str, lines: &[Distribution]) -> Result<(), Box<dyn Error>> {
    let samples = lines.iter().flat_map(|line| &line.samples);
    let end = samples.map(milliseconds).fold(1.0, f64::max) * 1.05;
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..end, 0.0..100.0)?;
    chart
        .configure_mesh()
        .x_desc("ms")
        .y_desc("% of rounds")
        .draw()?;
    for (number, line) in lines.iter().enumerate() {
        let style = Palette99::pick(number).stroke_width(2);
        chart
            .draw_series(LineSeries::new(line.stairs(end), style))?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()?;
    area.present()?;
    Ok(())
}

fn milliseconds(duration: &Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Distribution {
        Distribution {
            name: "a & b".to_owned(),
            samples: [30, 10].map(Duration::from_millis).to_vec(),
        }
    }

    #[test]
    fn the_stairs_end_at_all_samples() {
        let stairs = [
            (0.0, 0.0),
            (10.0, 0.0),
            (10.0, 50.0),
            (30.0, 50.0),
            (30.0, 100.0),
            (40.0, 100.0),
        ];
        assert_eq!(line().stairs(40.0), stairs);
    }

    #[test]
    fn the_picture_is_svg() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("plot.svg");
        draw(&file, "a title", &[line()]).expect("draws");
        let text = std::fs::read_to_string(file).expect("was written");
        assert!(
            text.starts_with("<svg") && text.contains("a title"),
            "{text}"
        );
    }
}
