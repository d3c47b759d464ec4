package mosquitto

import (
	"fmt"
	"time"
)

// appendTime appends what strftime makes of %c in the C locale, and the
// nanoseconds for N. An unknown letter stands for itself.
func appendTime(b []byte, c byte, t time.Time) []byte {
	if layout := timeLayout(c); layout != "" {
		return t.AppendFormat(b, layout)
	}
	switch c {
	case '@':
		return append(b, '@')
	case 'N':
		return fmt.Appendf(b, "%09d", t.Nanosecond())
	case 's':
		return fmt.Appendf(b, "%d", t.Unix())
	case 'n':
		return append(b, '\n')
	case 't':
		return append(b, '\t')
	case 'C':
		return fmt.Appendf(b, "%02d", t.Year()/100)
	case 'k':
		return fmt.Appendf(b, "%2d", t.Hour())
	case 'l':
		return fmt.Appendf(b, "%2d", (t.Hour()+11)%12+1)
	case 'P':
		return t.AppendFormat(b, "pm")
	case 'w':
		return fmt.Appendf(b, "%d", t.Weekday())
	case 'u':
		return fmt.Appendf(b, "%d", (t.Weekday()+6)%7+1)
	case 'U':
		return fmt.Appendf(b, "%02d", (t.YearDay()+6-int(t.Weekday()))/7)
	case 'W':
		return fmt.Appendf(b, "%02d", (t.YearDay()+6-(int(t.Weekday())+6)%7)/7)
	case 'G', 'g', 'V':
		return appendISOWeek(b, c, t)
	}
	return append(b, '@', c)
}

func appendISOWeek(b []byte, c byte, t time.Time) []byte {
	year, week := t.ISOWeek()
	switch c {
	case 'G':
		return fmt.Appendf(b, "%d", year)
	case 'g':
		return fmt.Appendf(b, "%02d", year%100)
	}
	return fmt.Appendf(b, "%02d", week)
}

// timeLayout is the time package's word for %c, if it has one.
func timeLayout(c byte) string {
	switch c {
	case 'a':
		return "Mon"
	case 'A':
		return "Monday"
	case 'b', 'h':
		return "Jan"
	case 'B':
		return "January"
	case 'c':
		return "Mon Jan _2 15:04:05 2006"
	case 'd':
		return "02"
	case 'D', 'x':
		return "01/02/06"
	case 'e':
		return "_2"
	case 'F':
		return "2006-01-02"
	case 'H':
		return "15"
	case 'I':
		return "03"
	case 'j':
		return "002"
	case 'm':
		return "01"
	case 'M':
		return "04"
	case 'p':
		return "PM"
	case 'r':
		return "03:04:05 PM"
	case 'R':
		return "15:04"
	case 'S':
		return "05"
	case 'T', 'X':
		return "15:04:05"
	case 'y':
		return "06"
	case 'Y':
		return "2006"
	case 'z':
		return "-0700"
	case 'Z':
		return "MST"
	}
	return ""
}
