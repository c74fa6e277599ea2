# Drawn by gnuplot from ratio_steps.dat: gnuplot THIS_FILE, in its directory.
set terminal svg size 950,583 font 'sans-serif,16' linewidth 1.6 background '#ffffff'
small = ',14'
set key spacing 0.78 width -5
set output 'ratio_steps.svg'
data = 'ratio_steps.dat'
set grid xtics ytics linetype 1 linewidth 0.5 linecolor rgb '#dddddd'
set border 3 linewidth 0.7
set tics nomirror
set format x '%g'
set format y '%g'
set datafile missing '-'
set xlabel 'training steps between the two'
set ylabel 'ratio'
set logscale xy
set ytics add (0.2, 0.5, 2, 5, 20, 50, 200, 500)

set xrange [0.769231:520]
set yrange [0.83355:203.404]
set key off
set multiplot layout 2,3 margins 0.07,0.99,0.1,0.94 spacing 0.075,0.17
set title "gpt-finetune/1e-6" noenhanced offset 0,-0.6
plot \
  data index 9 using 1:2 with lines linewidth 3 linecolor rgb '#aaaaaa' title 'bound', \
  data index 0 using ($1*1):2 with linespoints pointtype 7 pointsize 1 linewidth 1.2 dashtype 1 linecolor rgb '#0072B2' title "fast" noenhanced, \
  data index 1 using ($1*1):2 with linespoints pointtype 4 pointsize 1 linewidth 1.2 dashtype 2 linecolor rgb '#D55E00' title "balanced" noenhanced, \
  data index 2 using ($1*1):2 with linespoints pointtype 8 pointsize 1 linewidth 1.2 dashtype 3 linecolor rgb '#009E73' title "max" noenhanced, \
  data index 3 using ($1*1):2 with linespoints pointtype 12 pointsize 1 linewidth 1.2 dashtype 4 linecolor rgb '#CC79A7' title "seed" noenhanced, \
  data index 4 using ($1*1):2 with linespoints pointtype 10 pointsize 1 linewidth 1.2 dashtype 5 linecolor rgb '#56B4E9' title "lmc" noenhanced, \
  data index 5 using ($1*1):2 with linespoints pointtype 2 pointsize 1 linewidth 1.2 dashtype 1 linecolor rgb '#E69F00' title "zipnn" noenhanced, \
  data index 6 using ($1*1):2 with linespoints pointtype 1 pointsize 1 linewidth 1.2 dashtype 2 linecolor rgb '#000000' title "bitx" noenhanced, \
  data index 7 using ($1*1):2 with linespoints pointtype 6 pointsize 1 linewidth 1.2 dashtype 3 linecolor rgb '#0072B2' title "sparse-sync" noenhanced, \
  data index 8 using ($1*1):2 with linespoints pointtype 3 pointsize 1 linewidth 1.2 dashtype 4 linecolor rgb '#D55E00' title "check-n-run" noenhanced
set title "gpt-finetune/1e-5" noenhanced offset 0,-0.6
plot \
  data index 19 using 1:2 with lines linewidth 3 linecolor rgb '#aaaaaa' title 'bound', \
  data index 10 using ($1*1):2 with linespoints pointtype 7 pointsize 1 linewidth 1.2 dashtype 1 linecolor rgb '#0072B2' title "fast" noenhanced, \
  data index 11 using ($1*1):2 with linespoints pointtype 4 pointsize 1 linewidth 1.2 dashtype 2 linecolor rgb '#D55E00' title "balanced" noenhanced, \
  data index 12 using ($1*1):2 with linespoints pointtype 8 pointsize 1 linewidth 1.2 dashtype 3 linecolor rgb '#009E73' title "max" noenhanced, \
  data index 13 using ($1*1):2 with linespoints pointtype 12 pointsize 1 linewidth 1.2 dashtype 4 linecolor rgb '#CC79A7' title "seed" noenhanced, \
  data index 14 using ($1*1):2 with linespoints pointtype 10 pointsize 1 linewidth 1.2 dashtype 5 linecolor rgb '#56B4E9' title "lmc" noenhanced, \
  data index 15 using ($1*1):2 with linespoints pointtype 2 pointsize 1 linewidth 1.2 dashtype 1 linecolor rgb '#E69F00' title "zipnn" noenhanced, \
  data index 16 using ($1*1):2 with linespoints pointtype 1 pointsize 1 linewidth 1.2 dashtype 2 linecolor rgb '#000000' title "bitx" noenhanced, \
  data index 17 using ($1*1):2 with linespoints pointtype 6 pointsize 1 linewidth 1.2 dashtype 3 linecolor rgb '#0072B2' title "sparse-sync" noenhanced, \
  data index 18 using ($1*1):2 with linespoints pointtype 3 pointsize 1 linewidth 1.2 dashtype 4 linecolor rgb '#D55E00' title "check-n-run" noenhanced
set title "gpt-pretrain/late" noenhanced offset 0,-0.6
plot \
  data index 29 using 1:2 with lines linewidth 3 linecolor rgb '#aaaaaa' title 'bound', \
  data index 20 using ($1*1):2 with linespoints pointtype 7 pointsize 1 linewidth 1.2 dashtype 1 linecolor rgb '#0072B2' title "fast" noenhanced, \
  data index 21 using ($1*1):2 with linespoints pointtype 4 pointsize 1 linewidth 1.2 dashtype 2 linecolor rgb '#D55E00' title "balanced" noenhanced, \
  data index 22 using ($1*1):2 with linespoints pointtype 8 pointsize 1 linewidth 1.2 dashtype 3 linecolor rgb '#009E73' title "max" noenhanced, \
  data index 23 using ($1*1):2 with linespoints pointtype 12 pointsize 1 linewidth 1.2 dashtype 4 linecolor rgb '#CC79A7' title "seed" noenhanced, \
  data index 24 using ($1*1):2 with linespoints pointtype 10 pointsize 1 linewidth 1.2 dashtype 5 linecolor rgb '#56B4E9' title "lmc" noenhanced, \
  data index 25 using ($1*1):2 with linespoints pointtype 2 pointsize 1 linewidth 1.2 dashtype 1 linecolor rgb '#E69F00' title "zipnn" noenhanced, \
  data index 26 using ($1*1):2 with linespoints pointtype 1 pointsize 1 linewidth 1.2 dashtype 2 linecolor rgb '#000000' title "bitx" noenhanced, \
  data index 27 using ($1*1):2 with linespoints pointtype 6 pointsize 1 linewidth 1.2 dashtype 3 linecolor rgb '#0072B2' title "sparse-sync" noenhanced, \
  data index 28 using ($1*1):2 with linespoints pointtype 3 pointsize 1 linewidth 1.2 dashtype 4 linecolor rgb '#D55E00' title "check-n-run" noenhanced
set title "gpt-pretrain/middle" noenhanced offset 0,-0.6
plot \
  data index 39 using 1:2 with lines linewidth 3 linecolor rgb '#aaaaaa' title 'bound', \
  data index 30 using ($1*1):2 with linespoints pointtype 7 pointsize 1 linewidth 1.2 dashtype 1 linecolor rgb '#0072B2' title "fast" noenhanced, \
  data index 31 using ($1*1):2 with linespoints pointtype 4 pointsize 1 linewidth 1.2 dashtype 2 linecolor rgb '#D55E00' title "balanced" noenhanced, \
  data index 32 using ($1*1):2 with linespoints pointtype 8 pointsize 1 linewidth 1.2 dashtype 3 linecolor rgb '#009E73' title "max" noenhanced, \
  data index 33 using ($1*1):2 with linespoints pointtype 12 pointsize 1 linewidth 1.2 dashtype 4 linecolor rgb '#CC79A7' title "seed" noenhanced, \
  data index 34 using ($1*1):2 with linespoints pointtype 10 pointsize 1 linewidth 1.2 dashtype 5 linecolor rgb '#56B4E9' title "lmc" noenhanced, \
  data index 35 using ($1*1):2 with linespoints pointtype 2 pointsize 1 linewidth 1.2 dashtype 1 linecolor rgb '#E69F00' title "zipnn" noenhanced, \
  data index 36 using ($1*1):2 with linespoints pointtype 1 pointsize 1 linewidth 1.2 dashtype 2 linecolor rgb '#000000' title "bitx" noenhanced, \
  data index 37 using ($1*1):2 with linespoints pointtype 6 pointsize 1 linewidth 1.2 dashtype 3 linecolor rgb '#0072B2' title "sparse-sync" noenhanced, \
  data index 38 using ($1*1):2 with linespoints pointtype 3 pointsize 1 linewidth 1.2 dashtype 4 linecolor rgb '#D55E00' title "check-n-run" noenhanced
set title "gpt-pretrain/early" noenhanced offset 0,-0.6
plot \
  data index 49 using 1:2 with lines linewidth 3 linecolor rgb '#aaaaaa' title 'bound', \
  data index 40 using ($1*1):2 with linespoints pointtype 7 pointsize 1 linewidth 1.2 dashtype 1 linecolor rgb '#0072B2' title "fast" noenhanced, \
  data index 41 using ($1*1):2 with linespoints pointtype 4 pointsize 1 linewidth 1.2 dashtype 2 linecolor rgb '#D55E00' title "balanced" noenhanced, \
  data index 42 using ($1*1):2 with linespoints pointtype 8 pointsize 1 linewidth 1.2 dashtype 3 linecolor rgb '#009E73' title "max" noenhanced, \
  data index 43 using ($1*1):2 with linespoints pointtype 12 pointsize 1 linewidth 1.2 dashtype 4 linecolor rgb '#CC79A7' title "seed" noenhanced, \
  data index 44 using ($1*1):2 with linespoints pointtype 10 pointsize 1 linewidth 1.2 dashtype 5 linecolor rgb '#56B4E9' title "lmc" noenhanced, \
  data index 45 using ($1*1):2 with linespoints pointtype 2 pointsize 1 linewidth 1.2 dashtype 1 linecolor rgb '#E69F00' title "zipnn" noenhanced, \
  data index 46 using ($1*1):2 with linespoints pointtype 1 pointsize 1 linewidth 1.2 dashtype 2 linecolor rgb '#000000' title "bitx" noenhanced, \
  data index 47 using ($1*1):2 with linespoints pointtype 6 pointsize 1 linewidth 1.2 dashtype 3 linecolor rgb '#0072B2' title "sparse-sync" noenhanced, \
  data index 48 using ($1*1):2 with linespoints pointtype 3 pointsize 1 linewidth 1.2 dashtype 4 linecolor rgb '#D55E00' title "check-n-run" noenhanced
unset title
unset xlabel
unset ylabel
unset border
unset tics
unset grid
unset logscale
set xrange [0:1]
set yrange [0:1]
set key on center center vertical maxcols 1 Left reverse samplen 3
plot \
  NaN with linespoints pointtype 7 pointsize 1 linewidth 1.2 dashtype 1 linecolor rgb '#0072B2' title "fast" noenhanced, \
  NaN with linespoints pointtype 4 pointsize 1 linewidth 1.2 dashtype 2 linecolor rgb '#D55E00' title "balanced" noenhanced, \
  NaN with linespoints pointtype 8 pointsize 1 linewidth 1.2 dashtype 3 linecolor rgb '#009E73' title "max" noenhanced, \
  NaN with linespoints pointtype 12 pointsize 1 linewidth 1.2 dashtype 4 linecolor rgb '#CC79A7' title "seed" noenhanced, \
  NaN with linespoints pointtype 10 pointsize 1 linewidth 1.2 dashtype 5 linecolor rgb '#56B4E9' title "lmc" noenhanced, \
  NaN with linespoints pointtype 2 pointsize 1 linewidth 1.2 dashtype 1 linecolor rgb '#E69F00' title "zipnn" noenhanced, \
  NaN with linespoints pointtype 1 pointsize 1 linewidth 1.2 dashtype 2 linecolor rgb '#000000' title "bitx" noenhanced, \
  NaN with linespoints pointtype 6 pointsize 1 linewidth 1.2 dashtype 3 linecolor rgb '#0072B2' title "sparse-sync" noenhanced, \
  NaN with linespoints pointtype 3 pointsize 1 linewidth 1.2 dashtype 4 linecolor rgb '#D55E00' title "check-n-run" noenhanced, \
  NaN with lines linewidth 3 linecolor rgb '#aaaaaa' title 'bound'
unset multiplot
