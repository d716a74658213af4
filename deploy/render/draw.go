package main

import (
	"cmp"
	"image/color"
	"maps"
	"math"
	"os"
	"slices"
	"time"

	stdfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// Sizes in points; the picture has dpi/72 pixels for each. A row of Grafana's
// grid is 30 pixels high at a width of 1600.
const (
	dpi     = 144
	width   = 1000
	unitH   = 19
	margin  = 10
	heading = 30
	footing = 22
	gap     = 5 // between panels
)

var (
	paper  = color.RGBA{0xf4, 0xf5, 0xf7, 0xff}
	card   = color.RGBA{0xff, 0xff, 0xff, 0xff}
	border = color.RGBA{0xd8, 0xda, 0xe0, 0xff}
	ink    = color.RGBA{0x24, 0x29, 0x2e, 0xff}
	faint  = color.RGBA{0x6a, 0x70, 0x7a, 0xff}
	grid   = color.RGBA{0xe8, 0xea, 0xee, 0xff}
	green  = color.RGBA{0x2f, 0x8f, 0x4e, 0xff}
	colors = []color.RGBA{
		{0x1f, 0x77, 0xb4, 0xff}, {0xff, 0x7f, 0x0e, 0xff}, {0x2c, 0xa0, 0x2c, 0xff}, {0xd6, 0x27, 0x28, 0xff},
		{0x94, 0x67, 0xbd, 0xff}, {0x8c, 0x56, 0x4b, 0xff}, {0xe3, 0x77, 0xc2, 0xff}, {0x17, 0xbe, 0xcf, 0xff}, {0x9a, 0x9b, 0x10, 0xff},
		{0x7f, 0x7f, 0x7f, 0xff}, {0x00, 0x4d, 0x4d, 0xff}, {0xff, 0x98, 0x96, 0xff}, {0x98, 0xdf, 0x8a, 0xff},
	}
	named = map[string]color.RGBA{"green": green, "orange": {0xe0, 0x7b, 0x00, 0xff}, "red": {0xd0, 0x2f, 0x2f, 0xff}}
)

// style is a text style of the given size; bold with weight.
func style(size float64, c color.Color, bold bool) text.Style {
	f := font.From(plot.DefaultFont, vg.Points(size))
	f.Variant = "Sans"
	if bold {
		f.Weight = stdfont.WeightBold
	}
	return text.Style{Color: c, Font: f, Handler: plot.DefaultTextHandler}
}

// drawAll writes the whole picture.
func drawAll(file string, d dashboard, begin, end time.Time, note string) error {
	rows := 0
	for _, p := range d.Panels {
		rows = max(rows, p.GridPos.Y+p.GridPos.H)
	}
	height := float64(rows*unitH + heading + footing + 2*margin)
	img := vgimg.NewWith(vgimg.UseWH(vg.Points(width), vg.Points(height)), vgimg.UseDPI(dpi), vgimg.UseBackgroundColor(paper))
	dc := draw.New(img)
	title, small := style(14, ink, true), style(7.5, faint, false)
	dc.FillText(title, vg.Point{X: vg.Points(margin), Y: vg.Points(height - margin - 14)}, d.Title)
	dc.FillText(small, vg.Point{X: vg.Points(margin), Y: vg.Points(margin)}, note)
	names := palette(d)
	column := (width - 2*margin) / 24.0
	for _, p := range d.Panels {
		x := margin + float64(p.GridPos.X)*column
		top := height - heading - margin - float64(p.GridPos.Y*unitH)
		c := draw.Canvas{Canvas: dc.Canvas, Rectangle: vg.Rectangle{
			Min: vg.Point{X: vg.Points(x + gap/2), Y: vg.Points(top - float64(p.GridPos.H*unitH) + gap)},
			Max: vg.Point{X: vg.Points(x + float64(p.GridPos.W)*column - gap/2), Y: vg.Points(top)},
		}}
		box(c)
		if p.Type == "stat" {
			p.stat(c, begin, end)
		} else if err := p.lines(c, begin, end, names); err != nil {
			return err
		}
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if _, err := (vgimg.PngCanvas{Canvas: img}).WriteTo(f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// palette gives each name the same colour in every panel. What is in most panels
// comes first, so that destinations differ from each other.
func palette(d dashboard) map[string]color.RGBA {
	seen := map[string]int{}
	for _, p := range d.Panels {
		for _, s := range p.series {
			if p.Type != "stat" {
				seen[s.name]++
			}
		}
	}
	names := slices.SortedFunc(maps.Keys(seen), func(a, b string) int {
		return cmp.Or(cmp.Compare(seen[b], seen[a]), cmp.Compare(a, b))
	})
	out := map[string]color.RGBA{}
	for i, n := range names {
		out[n] = colors[i%len(colors)]
	}
	return out
}

func box(c draw.Canvas) {
	c.FillPolygon(card, corners(c.Rectangle))
	c.StrokeLines(draw.LineStyle{Color: border, Width: vg.Points(.5)}, append(corners(c.Rectangle), c.Min))
}

func corners(r vg.Rectangle) []vg.Point {
	return []vg.Point{r.Min, {X: r.Max.X, Y: r.Min.Y}, r.Max, {X: r.Min.X, Y: r.Max.Y}}
}

// inner is a canvas within c, by points from its sides.
func inner(c draw.Canvas, left, bottom, right, top float64) draw.Canvas {
	return draw.Crop(c, vg.Points(left), -vg.Points(right), vg.Points(bottom), -vg.Points(top))
}

// stat draws the newest value, over the course of it.
func (p panel) stat(c draw.Canvas, begin, end time.Time) {
	c.FillText(style(8, ink, true), vg.Point{X: c.Min.X + vg.Points(7), Y: c.Max.Y - vg.Points(14)}, p.Title)
	s := p.series[0]
	shade := p.colour(s.last())
	c.FillText(style(20, shade, true), vg.Point{X: c.Min.X + vg.Points(7), Y: c.Max.Y - vg.Points(40)}, show(s.last(), p.FieldConfig.Defaults.Unit))
	area := inner(c, 1, 1, 1, 48)
	most := 0.
	for _, q := range s.points {
		most = math.Max(most, q.Y)
	}
	if most == 0 || len(s.points) < 2 {
		return
	}
	at := func(q plotter.XY) vg.Point {
		return vg.Point{X: area.X((q.X - float64(begin.Unix())) / end.Sub(begin).Seconds()), Y: area.Y(q.Y / most)}
	}
	var line []vg.Point
	for _, q := range s.points {
		if at(q).X >= area.Min.X {
			line = append(line, at(q))
		}
	}
	under := append([]vg.Point{{X: line[0].X, Y: area.Min.Y}}, line...)
	under = append(under, vg.Point{X: line[len(line)-1].X, Y: area.Min.Y})
	light := color.RGBA{mix(shade.R), mix(shade.G), mix(shade.B), 0xff}
	c.FillPolygon(light, under)
	c.StrokeLines(draw.LineStyle{Color: shade, Width: vg.Points(.8)}, line)
}

// mix is a colour's part, most of it white.
func mix(v uint8) uint8 { return uint8(255 - (255-int(v))/6) }

// colour is that of the last threshold which the value has reached.
func (p panel) colour(v float64) color.RGBA {
	shade := green
	steps := p.FieldConfig.Defaults.Thresholds.Steps
	if len(steps) == 0 {
		return colors[0]
	}
	for _, s := range steps {
		if s.Value == nil || v >= *s.Value {
			shade = named[s.Color]
		}
	}
	return shade
}

// lines draws a time series with its legend below.
func (p panel) lines(c draw.Canvas, begin, end time.Time, names map[string]color.RGBA) error {
	c.FillText(style(8.5, ink, true), vg.Point{X: c.Min.X + vg.Points(7), Y: c.Max.Y - vg.Points(13)}, p.Title)
	legendH := p.legend(inner(c, 8, 4, 6, 0), names)
	pl := plot.New()
	pl.BackgroundColor = color.Transparent
	unit := p.FieldConfig.Defaults.Unit
	pl.X.Min, pl.X.Max = float64(begin.Unix()), float64(end.Unix())
	pl.Y.Min, pl.Y.Max = 0, 0
	for _, s := range p.series {
		for _, q := range s.points {
			pl.Y.Max = math.Max(pl.Y.Max, q.Y)
		}
	}
	if pl.Y.Max == 0 {
		pl.Y.Max = 1
	}
	pl.Y.Max *= 1.05
	if m := p.FieldConfig.Defaults.Max; m != nil {
		pl.Y.Max = *m * 1.05
	}
	pl.Y.Tick.Marker = plot.TickerFunc(func(low, high float64) []plot.Tick { return ticks(low, high, unit) })
	pl.X.Tick.Marker = plot.TickerFunc(func(low, high float64) []plot.Tick { return times(low, high) })
	for _, a := range []*plot.Axis{&pl.X, &pl.Y} {
		a.LineStyle.Width = 0
		a.Tick.LineStyle.Width = 0
		a.Tick.Length = 0
		a.Tick.Label.Font = style(7, faint, false).Font
		a.Tick.Label.Color = faint
		a.Padding = vg.Points(3)
	}
	lattice := plotter.NewGrid()
	lattice.Horizontal.Color, lattice.Vertical.Color = grid, grid
	lattice.Horizontal.Dashes, lattice.Vertical.Dashes = nil, nil
	pl.Add(lattice)
	for _, s := range p.series {
		if len(s.points) == 0 {
			continue
		}
		for _, part := range unbroken(s.points) {
			l, err := plotter.NewLine(part)
			if err != nil {
				return err
			}
			l.Color, l.Width = names[s.name], vg.Points(1.1)
			if s.name == "objective" {
				l.Color, l.Dashes = named["red"], []vg.Length{vg.Points(4), vg.Points(3)}
			}
			pl.Add(l)
		}
	}
	pl.Draw(inner(c, 7, legendH+7, 12, 22))
	return nil
}

// unbroken cuts a line where values are missing.
func unbroken(points plotter.XYs) (parts []plotter.XYs) {
	step := math.Inf(1)
	for i := 1; i < len(points); i++ {
		step = math.Min(step, points[i].X-points[i-1].X)
	}
	from := 0
	for i := 1; i <= len(points); i++ {
		if i == len(points) || points[i].X-points[i-1].X > 1.5*step {
			parts = append(parts, points[from:i])
			from = i
		}
	}
	return parts
}

// legend draws the names that have a value, at the bottom, and returns its height in points.
func (p panel) legend(c draw.Canvas, names map[string]color.RGBA) float64 {
	const lineH, blob = 10, 8
	st := style(7, ink, false)
	type entry struct{ x, row float64 }
	x, row := 0., 0.
	at := map[int]entry{}
	limit := float64(c.Max.X - c.Min.X)
	for i, s := range p.series {
		w := blob + 4 + float64(st.Width(s.name)) + 12
		if x > 0 && x+w > limit {
			x, row = 0, row+1
		}
		at[i] = entry{x, row}
		x += w
	}
	for i, s := range p.series {
		e := at[i]
		y := c.Min.Y + vg.Points((row-e.row)*lineH+2)
		left := c.Min.X + vg.Points(e.x)
		shade := names[s.name]
		if s.name == "objective" {
			shade = named["red"]
		}
		c.StrokeLines(draw.LineStyle{Color: shade, Width: vg.Points(2)}, []vg.Point{{X: left, Y: y + vg.Points(2.5)}, {X: left + vg.Points(blob), Y: y + vg.Points(2.5)}})
		c.FillText(st, vg.Point{X: left + vg.Points(blob+4), Y: y}, s.name)
	}
	return (row + 1) * lineH
}

// ticks are four or five round values.
func ticks(low, high float64, unit string) (out []plot.Tick) {
	step := math.Pow(10, math.Floor(math.Log10((high-low)/4)))
	for _, f := range []float64{1, 2, 2.5, 5, 10} {
		if (high-low)/(step*f) <= 5 {
			step *= f
			break
		}
	}
	for v := low; v <= high; v += step {
		out = append(out, plot.Tick{Value: v, Label: show(math.Round(v/step)*step, unit)})
	}
	return out
}

// times are round moments, in UTC.
func times(low, high float64) (out []plot.Tick) {
	step := 3600.
	for _, s := range []float64{5, 10, 15, 30, 60, 120, 300, 600, 900, 1800} {
		if (high-low)/s <= 8 {
			step = s
			break
		}
	}
	layout := "15:04"
	if step < 60 {
		layout = "15:04:05"
	}
	for v := math.Ceil(low/step) * step; v <= high; v += step {
		out = append(out, plot.Tick{Value: v, Label: time.Unix(int64(v), 0).UTC().Format(layout)})
	}
	return out
}
