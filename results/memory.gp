# Drawn by gnuplot from memory.dat: gnuplot THIS_FILE, in its directory.
set terminal svg size 620,480 font 'sans-serif,13' background '#ffffff'
set output 'memory.svg'
data = 'memory.dat'
set grid xtics ytics linetype 1 linewidth 0.5 linecolor rgb '#cccccc'
set border 3
set tics nomirror
set autoscale fix
set offsets graph 0.05, graph 0.05, graph 0.05, graph 0.05
set format x '%g'
set format y '%g'
set xlabel 'checkpoint, MB' offset 0,0.4
set ylabel 'peak heap of the hungrier phase, MiB'
set key bmargin center horizontal maxcols 2 Left reverse samplen 2 height 1
set logscale xy
plot \
  data index 0 using 1:2 with points pointtype 7 pointsize 1.1 linewidth 1.4 dashtype 1 linecolor rgb '#0072B2' title "balanced" noenhanced, \
  data index 1 using 1:2 with points pointtype 4 pointsize 1.1 linewidth 1.4 dashtype 2 linecolor rgb '#D55E00' title "max" noenhanced, \
  data index 2 using 1:2 with points pointtype 8 pointsize 1.1 linewidth 1.4 dashtype 3 linecolor rgb '#009E73' title "seed" noenhanced, \
  data index 3 using 1:2 with points pointtype 1 pointsize 1.1 linewidth 1.4 dashtype 4 linecolor rgb '#CC79A7' title "lmc" noenhanced, \
  data index 4 using 1:2 with points pointtype 10 pointsize 1.1 linewidth 1.4 dashtype 5 linecolor rgb '#56B4E9' title "zipnn" noenhanced, \
  data index 5 using 1:2 with points pointtype 13 pointsize 1.1 linewidth 1.4 dashtype 1 linecolor rgb '#E69F00' title "store" noenhanced, \
  data index 6 using 1:2 with points pointtype 2 pointsize 1.1 linewidth 1.4 dashtype 2 linecolor rgb '#000000' title "zstd:level=3" noenhanced
