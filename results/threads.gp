# Drawn by gnuplot from threads.dat: gnuplot THIS_FILE, in its directory.
set terminal pngcairo size 990,766 font 'sans-serif,8' fontscale 3.125 linewidth 3.4 pointscale 1.6
small = ',7'
set key spacing 1 width 0
set output 'threads.png'
data = 'threads.dat'
set grid xtics ytics linetype 1 linewidth 0.5 linecolor rgb '#dddddd'
set border 3 linewidth 0.7
set tics nomirror
set format x '%g'
set format y '%g'
set datafile missing '-'
set xlabel 'threads'
set ylabel 'slower phase, GiB/s'
set yrange [0:*]
set xtics 1
set autoscale fix
set offsets graph 0.05, graph 0.05, graph 0.05, graph 0.05
set key bmargin center horizontal maxcols 2 Left reverse samplen 3 height 0.5
plot \
  data index 0 using ($1*1):2 with linespoints pointtype 7 pointsize 1 linewidth 1.2 dashtype 1 linecolor rgb '#0072B2' title "fast" noenhanced, \
  data index 1 using ($1*1):2 with linespoints pointtype 4 pointsize 1 linewidth 1.2 dashtype 2 linecolor rgb '#D55E00' title "balanced" noenhanced, \
  data index 2 using ($1*1):2 with linespoints pointtype 8 pointsize 1 linewidth 1.2 dashtype 3 linecolor rgb '#009E73' title "max" noenhanced, \
  data index 3 using ($1*1):2 with linespoints pointtype 12 pointsize 1 linewidth 1.2 dashtype 4 linecolor rgb '#CC79A7' title "seed" noenhanced, \
  data index 4 using ($1*1):2 with linespoints pointtype 10 pointsize 1 linewidth 1.2 dashtype 5 linecolor rgb '#56B4E9' title "zipnn" noenhanced, \
  3.22115 * x with lines linewidth 2 linecolor rgb '#aaaaaa' title 'first, no loss'
