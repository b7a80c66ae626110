//! A plot with two logarithmic axes as SVG: enough for one comparison, readable on light and dark pages.

use std::fmt::Write;

/// One line of the plot.
pub struct Series {
    /// What it is called at its right end.
    pub name: String,
    /// Its colour.
    pub colour: &'static str,
    /// Whether it is dashed, as one that is worked out and not measured.
    pub dashed: bool,
    /// Its points, both coordinates over 0.
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 560.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 270.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 60.0;

/// Draws the lines; `y` names the values on the vertical axis by their power of ten.
#[must_use]
pub fn draw(title: &str, x_name: &str, series: &[Series], y: impl Fn(i32) -> String) -> String {
    let all = || series.iter().flat_map(|line| &line.points);
    let range = |of: fn(&(f64, f64)) -> f64| {
        let logs = || all().map(|point| of(point).log10());
        (logs().fold(f64::INFINITY, f64::min).floor(), logs().fold(f64::NEG_INFINITY, f64::max).ceil())
    };
    let ((x0, x1), (y0, y1)) = (range(|point| point.0), range(|point| point.1));
    let across = |x: f64| LEFT + (x.log10() - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT);
    let up = |y: f64| HEIGHT - BOTTOM - (y.log10() - y0) / (y1 - y0) * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<text x=\"{LEFT}\" y=\"28\" \
         font-size=\"17\">{title}</text>\n"
    );
    // Writing to a String cannot fail.
    for power in x0 as i32..=x1 as i32 {
        let x = across(10_f64.powi(power));
        let name = match power {
            0..3 => 10_u32.pow(power as u32).to_string(),
            3..6 => format!("{}k", 10_u32.pow(power as u32 - 3)),
            _ => format!("{}M", 10_f64.powi(power - 6)),
        };
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {TOP}V{:.1}\" stroke=\"#ddd\"/><text x=\"{x:.1}\" y=\"{:.1}\" \
             text-anchor=\"middle\">{name}</text>",
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 20.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{x_name}</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 15.0
    );
    for power in y0 as i32..=y1 as i32 {
        let at = up(10_f64.powi(power));
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {at:.1}H{:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" \
             text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.0,
            y(power)
        );
    }
    // Names keep a line's distance from each other, in the order of the lines' ends.
    let mut ends: Vec<(f64, usize)> =
        series.iter().enumerate().filter_map(|(i, line)| Some((up(line.points.last()?.1), i))).collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut lowest = TOP - 18.0;
    for (end, i) in ends {
        let line = &series[i];
        let path: Vec<String> =
            line.points.iter().map(|&(x, y)| format!("{:.1},{:.1}", across(x), up(y))).collect();
        let dash = if line.dashed { " stroke-dasharray=\"6 5\"" } else { "" };
        let x = line.points.last().map_or(LEFT, |point| across(point.0));
        lowest = end.max(lowest + 18.0);
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2.2\"{dash}/><text x=\"{:.1}\" \
             y=\"{:.1}\" fill=\"{}\">{}</text>",
            path.join(" "),
            line.colour,
            x + 8.0,
            lowest + 4.0,
            line.colour,
            line.name
        );
    }
    svg.push_str("</svg>\n");
    svg
}
