package main

import (
	"math"
	"strconv"
	"strings"
)

// show writes a value in a unit of Grafana's, with three figures.
func show(v float64, unit string) string {
	switch unit {
	case "s":
		switch a := math.Abs(v); {
		case a == 0:
			return "0 s"
		case a < 1e-3:
			return figures(v*1e6) + " µs"
		case a < 1:
			return figures(v*1e3) + " ms"
		case a < 120:
			return figures(v) + " s"
		default:
			return figures(v/60) + " min"
		}
	case "reqps":
		return prefixed(v, 1000, "", "k", "M") + "/s"
	case "bytes", "Bps":
		text := prefixed(v, 1024, " B", " KiB", " MiB", " GiB")
		if unit == "Bps" {
			text += "/s"
		}
		return text
	case "percentunit":
		return figures(v*100) + " %"
	default:
		return prefixed(v, 1000, "", "k", "M", "G")
	}
}

func prefixed(v, base float64, units ...string) string {
	i := 0
	for ; math.Abs(v) >= base && i < len(units)-1; i++ {
		v /= base
	}
	return figures(v) + units[i]
}

func figures(v float64) string {
	text := strconv.FormatFloat(v, 'g', 3, 64)
	if strings.Contains(text, "e") {
		text = strconv.FormatFloat(v, 'f', 0, 64)
	}
	return text
}
