# Drawn by gnuplot from ratio_changed.dat: gnuplot THIS_FILE, in its directory.
set terminal pngcairo size 990,830 font 'sans-serif,8' fontscale 3.125 linewidth 3.4 pointscale 1.6
small = ',7'
set key spacing 1 width 0
set output 'ratio_changed.png'
data = 'ratio_changed.dat'
set grid xtics ytics linetype 1 linewidth 0.5 linecolor rgb '#dddddd'
set border 3 linewidth 0.7
set tics nomirror
set format x '%g'
set format y '%g'
set datafile missing '-'
set xlabel 'elements changed, %'
set ylabel 'ratio'
set logscale xy
set xtics add (0.02, 0.05, 0.2, 0.5, 2, 5, 20, 50, 200, 500)
set ytics add (0.2, 0.5, 2, 5, 20, 50, 200, 500)

set autoscale fix
set offsets graph 0.05, graph 0.05, graph 0.05, graph 0.05
set key bmargin center horizontal maxcols 2 Left reverse samplen 3 height 0.5
plot \
  data index 9 using 1:2 with lines linewidth 3 linecolor rgb '#aaaaaa' title 'bound', \
  data index 0 using ($1*1):2 with linespoints pointtype 7 pointsize 1 linewidth 1.2 dashtype 1 linecolor rgb '#0072B2' title "balanced" noenhanced, \
  data index 1 using ($1*1):2 with linespoints pointtype 4 pointsize 1 linewidth 1.2 dashtype 2 linecolor rgb '#D55E00' title "max" noenhanced, \
  data index 2 using ($1*1):2 with linespoints pointtype 8 pointsize 1 linewidth 1.2 dashtype 3 linecolor rgb '#009E73' title "seed" noenhanced, \
  data index 3 using ($1*1):2 with linespoints pointtype 12 pointsize 1 linewidth 1.2 dashtype 4 linecolor rgb '#CC79A7' title "zipnn" noenhanced, \
  data index 4 using ($1*1):2 with linespoints pointtype 10 pointsize 1 linewidth 1.2 dashtype 5 linecolor rgb '#56B4E9' title "delta-xor+lz4" noenhanced, \
  data index 5 using ($1*1):2 with linespoints pointtype 2 pointsize 1 linewidth 1.2 dashtype 1 linecolor rgb '#E69F00' title "lmc" noenhanced, \
  data index 6 using ($1*1):2 with linespoints pointtype 1 pointsize 1 linewidth 1.2 dashtype 2 linecolor rgb '#000000' title "bitx" noenhanced, \
  data index 7 using ($1*1):2 with linespoints pointtype 6 pointsize 1 linewidth 1.2 dashtype 3 linecolor rgb '#0072B2' title "sparse-sync" noenhanced, \
  data index 8 using ($1*1):2 with linespoints pointtype 3 pointsize 1 linewidth 1.2 dashtype 4 linecolor rgb '#D55E00' title "store" noenhanced
