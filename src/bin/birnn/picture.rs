//! Heat maps, as PNG or SVG.

use crate::palette::Scale;
use anyhow::{Context, Result, anyhow};
use ndarray::{Array2, s};
use plotters::coord::Shift;
use plotters::prelude::{
    BLACK, BitMapBackend, DrawingArea, DrawingBackend, FontStyle, FontTransform, IntoDrawingArea,
    IntoFont, PathElement, RGBColor, Rectangle, SVGBackend, Text, TextStyle, WHITE,
};
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// A part of DejaVu Sans (font/README.md): machines without fonts draw, too.
const FONT: &[u8] = include_bytes!("font/DejaVuSans-subset.ttf");

/// Heat maps below each other, each with its panels side by side.
pub struct Picture {
    pub title: String,
    /// A line below the title.
    pub note: String,
    pub maps: Vec<Map>,
}

/// Panels with the same colours, of which one bar tells.
pub struct Map {
    pub scale: Scale,
    pub panels: Vec<Panel>,
}

pub struct Panel {
    pub title: String,
    /// `[units, timesteps]`; NaN is grey.
    pub values: Array2<f64>,
    /// The numbers of the first unit and timestep.
    pub first: (usize, usize),
}

#[derive(Clone, Copy, PartialEq)]
pub enum Format {
    Png,
    Svg,
}

impl Format {
    /// The format of a file of this name.
    pub fn of(path: &Path) -> Option<Format> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "png" => Some(Format::Png),
            "svg" => Some(Format::Svg),
            _ => None,
        }
    }

    /// The units and timesteps that a panel has cells for; of more a cell is the mean of several.
    /// In SVG each cell is an element, of which browsers draw some ten thousands.
    pub fn most_cells(self) -> (usize, usize) {
        match self {
            Format::Png => (600, 1200),
            Format::Svg => (96, 160),
        }
    }
}

/// Lengths are in pixels of an SVG; a PNG has twice as many, for sharp letters.
const PNG_SCALE: i32 = 2;
const MARGIN: i32 = 14;
const TITLE: i32 = 15;
const LETTERS: i32 = 11;
/// A line of text.
const LINE: i32 = 16;
/// Left of a panel, for the name and the numbers of its units.
const LEFT: i32 = 54;
const BAR_GAP: i32 = 16;
const BAR: i32 = 12;
const BAR_LABELS: i32 = 50;
/// Panels become about so large.
const PANEL: (i32, i32) = (360, 200);
/// A cell's sides at most; and a panel's at least, which its title needs.
const CELL: i32 = 26;
const LEAST_PANEL: (i32, i32) = (150, 52);

/// Writes a picture to a file.
pub fn write(picture: &Picture, path: &Path, format: Format) -> Result<()> {
    register_font("sans-serif", FontStyle::Normal, FONT)
        .map_err(|_| anyhow!("the font of the program is damaged"))?;
    let layout = Layout::of(picture, format);
    let (width, height) = layout.size;
    let cannot_write = || format!("cannot write {}", path.display());
    match format {
        Format::Svg => {
            let mut text = String::new();
            let area = SVGBackend::with_string(&mut text, (width as u32, height as u32))
                .into_drawing_area();
            layout.draw(picture, &Canvas { area: &area, scale: 1, lowered: 0 })?;
            area.present().map_err(|error| anyhow!("{error}"))?;
            drop(area);
            // No seams between the cells, at any size.
            let text = text.replacen("<svg ", "<svg shape-rendering=\"crispEdges\" ", 1);
            std::fs::write(path, text).with_context(cannot_write)
        }
        Format::Png => {
            let (width, height) = ((width * PNG_SCALE) as u32, (height * PNG_SCALE) as u32);
            let mut pixels = vec![0; width as usize * height as usize * 3];
            let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
            layout.draw(picture, &Canvas { area: &area, scale: PNG_SCALE, lowered: 5 })?;
            area.present().map_err(|error| anyhow!("{error}"))?;
            drop(area);
            let file = File::create(path).with_context(cannot_write)?;
            let mut encoder = png::Encoder::new(BufWriter::new(file), width, height);
            encoder.set_color(png::ColorType::Rgb);
            encoder.set_depth(png::BitDepth::Eight);
            let mut writer = encoder.write_header().with_context(cannot_write)?;
            writer.write_image_data(&pixels).with_context(cannot_write)?;
            writer.finish().with_context(cannot_write)
        }
    }
}

/// Where everything stands.
struct Layout {
    size: (i32, i32),
    /// Of each map its panels, from left to right, and below each other.
    maps: Vec<Vec<PlacedPanel>>,
}

/// Where a panel stands, and its cells.
struct PlacedPanel {
    x: i32,
    y: i32,
    cell: (i32, i32),
    /// `[units, timesteps]` of cells.
    values: Array2<f64>,
    /// Units and timesteps of a cell.
    block: (usize, usize),
}

impl PlacedPanel {
    fn width(&self) -> i32 {
        self.cell.0 * self.values.ncols() as i32
    }

    fn height(&self) -> i32 {
        self.cell.1 * self.values.nrows() as i32
    }
}

impl Layout {
    fn of(picture: &Picture, format: Format) -> Layout {
        let mut y = MARGIN + 2 * LINE;
        let letters = picture.title.chars().count().max(picture.note.chars().count() * 3 / 4);
        let mut right = letters as i32 * TITLE * 3 / 5;
        let mut maps = Vec::new();
        for map in &picture.maps {
            let mut x = MARGIN;
            let mut places: Vec<PlacedPanel> = Vec::new();
            y += LINE + LINE / 2;
            for panel in &map.panels {
                let (values, block) = means(&panel.values, format.most_cells());
                let cell = (
                    cell(values.ncols(), PANEL.0, LEAST_PANEL.0),
                    cell(values.nrows(), PANEL.1, LEAST_PANEL.1),
                );
                let place = PlacedPanel { x: x + LEFT, y, cell, values, block };
                x = place.x + place.width() + BAR_GAP;
                places.push(place);
            }
            right = right.max(x + BAR + BAR_LABELS);
            y += places.iter().map(PlacedPanel::height).max().unwrap_or(0) + 2 * LINE;
            maps.push(places);
        }
        Layout { size: (right + MARGIN, y + MARGIN), maps }
    }

    fn draw<B: DrawingBackend>(&self, picture: &Picture, canvas: &Canvas<'_, B>) -> Result<()> {
        canvas.rectangle((0, 0), self.size, WHITE)?;
        canvas.text(&picture.title, (MARGIN, MARGIN), TITLE, START)?;
        canvas.text(&picture.note, (MARGIN, MARGIN + LINE + LINE / 4), LETTERS, START)?;
        for (map, places) in picture.maps.iter().zip(&self.maps) {
            for (panel, place) in map.panels.iter().zip(places) {
                canvas.panel(panel, place, &map.scale)?;
            }
            if let Some(last) = places.last() {
                canvas.bar(&map.scale, last)?;
            }
        }
        Ok(())
    }
}

/// The side of a cell, of so many in a row.
fn cell(cells: usize, wanted: i32, least: i32) -> i32 {
    let cells = (cells as i32).max(1);
    (wanted / cells).clamp(1, CELL).max((least + cells - 1) / cells)
}

/// The means of blocks of values, so that there are at most so many; and the sides of a block.
fn means(values: &Array2<f64>, most: (usize, usize)) -> (Array2<f64>, (usize, usize)) {
    let (rows, columns) = values.dim();
    let block = (rows.div_ceil(most.0).max(1), columns.div_ceil(most.1).max(1));
    let shape = (rows.div_ceil(block.0), columns.div_ceil(block.1));
    let mean = |(row, column): (usize, usize)| {
        let rows = row * block.0..rows.min((row + 1) * block.0);
        let columns = column * block.1..columns.min((column + 1) * block.1);
        let part = values.slice(s![rows, columns]);
        let known = part.iter().filter(|value| !value.is_nan());
        let (sum, count) = known.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
        if count == 0 { f64::NAN } else { sum / f64::from(count) }
    };
    (Array2::from_shape_fn(shape, mean), block)
}

const START: Pos = Pos { h_pos: HPos::Left, v_pos: VPos::Top };
const ABOVE: Pos = Pos { h_pos: HPos::Center, v_pos: VPos::Top };
const BEFORE: Pos = Pos { h_pos: HPos::Right, v_pos: VPos::Center };
const BEHIND: Pos = Pos { h_pos: HPos::Left, v_pos: VPos::Center };
const FRAME: RGBColor = RGBColor(90, 90, 90);

/// Where it is drawn.
struct Canvas<'a, B: DrawingBackend> {
    area: &'a DrawingArea<B, Shift>,
    /// Pixels of the area for one of the layout's.
    scale: i32,
    /// Pixels by which plotters draws letters too high that are to be in the middle of a line.
    lowered: i32,
}

impl<B: DrawingBackend> Canvas<'_, B> {
    fn panel(&self, panel: &Panel, place: &PlacedPanel, scale: &Scale) -> Result<()> {
        let PlacedPanel { x, y, cell, ref values, block } = *place;
        self.text(&panel.title, (x, y - LINE), LETTERS, START)?;
        for (unit, row) in values.rows().into_iter().enumerate() {
            let top = y + unit as i32 * cell.1;
            let colors: Vec<RGBColor> = row.iter().map(|&value| scale.color(value)).collect();
            let mut left = 0; // neighbours of one colour are one rectangle
            for column in 1..=colors.len() {
                if colors.get(column) != colors.get(left) {
                    let start = (x + left as i32 * cell.0, top);
                    let size = ((column - left) as i32 * cell.0, cell.1);
                    self.rectangle(start, size, colors[left])?;
                    left = column;
                }
            }
        }
        self.frame((x, y), (place.width(), place.height()))?;
        let bottom = y + place.height();
        let (units, timesteps) = panel.values.dim();
        let last = panel.first.1 + timesteps;
        let room = 10 + 7 * last.to_string().len() as i32;
        let across = Ticks { first: panel.first.1, count: timesteps, block: block.1, cell: cell.0 };
        for (number, at) in across.with_room(room) {
            self.line((x + at, bottom), (x + at, bottom + 3))?;
            self.text(&number.to_string(), (x + at, bottom + 5), LETTERS, ABOVE)?;
        }
        self.text("timestep", (x + place.width() / 2, bottom + 5 + LINE * 3 / 4), LETTERS, ABOVE)?;
        let down = Ticks { first: panel.first.0, count: units, block: block.0, cell: cell.1 };
        for (number, at) in down.with_room(LINE) {
            self.line((x - 3, y + at), (x, y + at))?;
            self.text(&number.to_string(), (x - 6, y + at), LETTERS, BEFORE)?;
        }
        self.upright_text("unit", (x - LEFT + 16, y + place.height() / 2))
    }

    /// The bar that tells the colours, right of a panel.
    fn bar(&self, scale: &Scale, panel: &PlacedPanel) -> Result<()> {
        let (x, y, height) = (panel.x + panel.width() + BAR_GAP, panel.y, panel.height());
        let (low, high) = scale.ends();
        const STEP: i32 = 2;
        for offset in (0..height).step_by(STEP as usize) {
            let part = (f64::from(offset) + f64::from(STEP) / 2.0) / f64::from(height);
            let color = scale.color(high + (low - high) * part.min(1.0));
            self.rectangle((x, y + offset), (BAR, STEP.min(height - offset)), color)?;
        }
        self.frame((x, y), (BAR, height))?;
        for (value, at) in [(high, 0), ((low + high) / 2.0, height / 2), (low, height)] {
            self.line((x + BAR, y + at), (x + BAR + 3, y + at))?;
            self.text(&short(value), (x + BAR + 6, y + at), LETTERS, BEHIND)?;
        }
        Ok(())
    }

    fn rectangle(
        &self,
        (x, y): (i32, i32),
        (width, height): (i32, i32),
        color: RGBColor,
    ) -> Result<()> {
        use plotters::style::Color;
        let corner = |x, y| (x * self.scale, y * self.scale);
        let corners = [corner(x, y), corner(x + width, y + height)];
        let rectangle = Rectangle::new(corners, color.filled());
        self.area.draw(&rectangle).map_err(|error| anyhow!("{error}"))
    }

    fn frame(&self, (x, y): (i32, i32), (width, height): (i32, i32)) -> Result<()> {
        let (right, bottom) = (x + width, y + height);
        self.path(&[(x, y), (right, y), (right, bottom), (x, bottom), (x, y)])
    }

    fn line(&self, from: (i32, i32), to: (i32, i32)) -> Result<()> {
        self.path(&[from, to])
    }

    fn path(&self, points: &[(i32, i32)]) -> Result<()> {
        use plotters::style::Color;
        let points: Vec<_> = points.iter().map(|(x, y)| (x * self.scale, y * self.scale)).collect();
        let path = PathElement::new(points, FRAME.stroke_width(self.scale as u32));
        self.area.draw(&path).map_err(|error| anyhow!("{error}"))
    }

    fn text(&self, text: &str, at: (i32, i32), size: i32, anchor: Pos) -> Result<()> {
        self.styled_text(text, at, size, anchor, FontTransform::None)
    }

    fn upright_text(&self, text: &str, at: (i32, i32)) -> Result<()> {
        let anchor = Pos { h_pos: HPos::Center, v_pos: VPos::Center };
        self.styled_text(text, at, LETTERS, anchor, FontTransform::Rotate270)
    }

    fn styled_text(
        &self,
        text: &str,
        (x, y): (i32, i32),
        size: i32,
        anchor: Pos,
        transform: FontTransform,
    ) -> Result<()> {
        // plotters' sizes are of a line, not of the letters.
        let font = ("sans-serif", f64::from(size * self.scale) * 1.24).into_font();
        let style = TextStyle::from(font.transform(transform.clone())).color(&BLACK).pos(anchor);
        let is_centred = matches!((anchor.v_pos, transform), (VPos::Center, FontTransform::None));
        let lowered = if is_centred { self.lowered } else { 0 };
        let at = (x * self.scale, y * self.scale + lowered);
        let text = Text::new(text.to_string(), at, style);
        self.area.draw(&text).map_err(|error| anyhow!("{error}"))
    }
}

/// The numbers along an axis.
struct Ticks {
    /// The first number, and how many there are.
    first: usize,
    count: usize,
    /// How many numbers are a cell, and a cell's side.
    block: usize,
    cell: i32,
}

impl Ticks {
    /// Numbers that are so far from each other at least, each with the middle of its place.
    fn with_room(&self, room: i32) -> impl Iterator<Item = (usize, i32)> + '_ {
        let length = f64::from(self.cell) / self.block as f64;
        let steps = (0..).flat_map(|power| [1, 2, 5].map(|digit| digit * 10usize.pow(power)));
        let step = steps.take(40).find(|&step| step as f64 * length >= f64::from(room));
        let step = step.unwrap_or(usize::MAX);
        let start = self.first.div_ceil(step).saturating_mul(step);
        let numbers = (start..self.first + self.count).step_by(step);
        numbers.map(move |number| {
            let middle = (number - self.first) as f64 * length + length.max(f64::from(1)) / 2.0;
            (number, middle as i32)
        })
    }
}

/// A number in a few letters.
fn short(value: f64) -> String {
    let size = value.abs();
    match size {
        0.0 => "0".to_string(),
        0.01..1000.0 => {
            let decimals = if size >= 100.0 {
                0
            } else if size >= 10.0 {
                1
            } else {
                3
            };
            let text = format!("{value:.decimals$}");
            match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
                false => text,
            }
        }
        _ => format!("{value:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr2;

    #[test]
    fn blocks_are_means_of_what_is_known() {
        let values = arr2(&[[1.0, 3.0, 5.0], [5.0, 7.0, f64::NAN], [0.0, 2.0, f64::NAN]]);
        let (means, block) = means(&values, (2, 2));
        assert_eq!(block, (2, 2));
        assert_eq!(
            means.mapv(|v| if v.is_nan() { -1.0 } else { v }),
            arr2(&[[4.0, 5.0], [1.0, -1.0]])
        );
        assert_eq!(super::means(&values, (3, 3)).1, (1, 1));
    }

    #[test]
    fn ticks_stand_in_the_middle_and_apart() {
        let ticks = |first, count, block, cell, room| {
            Ticks { first, count, block, cell }.with_room(room).collect::<Vec<_>>()
        };
        assert_eq!(ticks(0, 3, 1, 20, 16), [(0, 10), (1, 30), (2, 50)]);
        assert_eq!(ticks(3, 8, 1, 4, 16), [(5, 10), (10, 30)]);
        assert_eq!(ticks(0, 1000, 10, 1, 40), [(0, 0), (500, 50)]);
    }

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 0.35166, -1.0, 12.34, 999.5, 1e-7, 25000.0].map(short);
        assert_eq!(shown, ["0", "0.352", "-1", "12.3", "1000", "1.0e-7", "2.5e4"]);
    }
}
