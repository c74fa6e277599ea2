# Drawn by gnuplot from gpt-pretrain-pretrain.dat: gnuplot THIS_FILE, in its directory.
set terminal svg size 950,797 font 'sans-serif,16' linewidth 1.6 background '#ffffff'
small = ',14'
set key spacing 0.78 width -5
set output 'gpt-pretrain-pretrain.svg'
data = 'gpt-pretrain-pretrain.dat'
set grid xtics ytics linetype 1 linewidth 0.5 linecolor rgb '#dddddd'
set border 3 linewidth 0.7
set tics nomirror
set format x '%g'
set format y '%g'
set multiplot layout 2,2 margins 0.09,0.985,0.158,0.90 spacing 0.11,0.13 title 'circles: full:every=K; triangles: one-shot:every=K; dashed: intermittent'
set logscale x 2
set xlabel 'K: steps from one full checkpoint to the next'
set offsets graph 0.03,graph 0.03,graph 0.12,0
set yrange [0:*]
set key noenhanced
set title noenhanced offset 0,-0.5
set title 'bytes written'
set ylabel '% of the run'
set key at screen 0.02,screen 0.01 bottom left vertical maxcols 1 Left reverse samplen 3 font small
plot \
  data index 0 using 1:2 with linespoints pointtype 7 pointsize 1.1 linewidth 1.5 linecolor rgb '#0072B2' title "..datasets/gpt-pretrain/pretrain, balanced", \
  data index 1 using 1:2 with linespoints pointtype 9 pointsize 1.3 linewidth 1.5 linecolor rgb '#0072B2' notitle, \
  data index 2 using 1:2 with lines dashtype 2 linewidth 1.8 linecolor rgb '#0072B2' notitle, \
  data index 3 using 1:2 with linespoints pointtype 7 pointsize 1.1 linewidth 1.5 linecolor rgb '#D55E00' title "..datasets/gpt-pretrain/pretrain, fast", \
  data index 4 using 1:2 with linespoints pointtype 9 pointsize 1.3 linewidth 1.5 linecolor rgb '#D55E00' notitle, \
  data index 5 using 1:2 with lines dashtype 2 linewidth 1.8 linecolor rgb '#D55E00' notitle, \
  data index 6 using 1:2 with linespoints pointtype 7 pointsize 1.1 linewidth 1.5 linecolor rgb '#009E73' title "..datasets/gpt-pretrain/pretrain, check-n-run", \
  data index 7 using 1:2 with linespoints pointtype 9 pointsize 1.3 linewidth 1.5 linecolor rgb '#009E73' notitle, \
  data index 8 using 1:2 with lines dashtype 2 linewidth 1.8 linecolor rgb '#009E73' notitle
set title 'bytes kept at most'
set ylabel '% of one checkpoint'
set key off
plot \
  data index 0 using 1:3 with linespoints pointtype 7 pointsize 1.1 linewidth 1.5 linecolor rgb '#0072B2' title "..datasets/gpt-pretrain/pretrain, balanced", \
  data index 1 using 1:3 with linespoints pointtype 9 pointsize 1.3 linewidth 1.5 linecolor rgb '#0072B2' notitle, \
  data index 2 using 1:3 with lines dashtype 2 linewidth 1.8 linecolor rgb '#0072B2' notitle, \
  data index 3 using 1:3 with linespoints pointtype 7 pointsize 1.1 linewidth 1.5 linecolor rgb '#D55E00' title "..datasets/gpt-pretrain/pretrain, fast", \
  data index 4 using 1:3 with linespoints pointtype 9 pointsize 1.3 linewidth 1.5 linecolor rgb '#D55E00' notitle, \
  data index 5 using 1:3 with lines dashtype 2 linewidth 1.8 linecolor rgb '#D55E00' notitle, \
  data index 6 using 1:3 with linespoints pointtype 7 pointsize 1.1 linewidth 1.5 linecolor rgb '#009E73' title "..datasets/gpt-pretrain/pretrain, check-n-run", \
  data index 7 using 1:3 with linespoints pointtype 9 pointsize 1.3 linewidth 1.5 linecolor rgb '#009E73' notitle, \
  data index 8 using 1:3 with lines dashtype 2 linewidth 1.8 linecolor rgb '#009E73' notitle
set title 'restoring the worst step'
set ylabel 'seconds'
set key off
plot \
  data index 0 using 1:4 with linespoints pointtype 7 pointsize 1.1 linewidth 1.5 linecolor rgb '#0072B2' title "..datasets/gpt-pretrain/pretrain, balanced", \
  data index 1 using 1:4 with linespoints pointtype 9 pointsize 1.3 linewidth 1.5 linecolor rgb '#0072B2' notitle, \
  data index 2 using 1:4 with lines dashtype 2 linewidth 1.8 linecolor rgb '#0072B2' notitle, \
  data index 3 using 1:4 with linespoints pointtype 7 pointsize 1.1 linewidth 1.5 linecolor rgb '#D55E00' title "..datasets/gpt-pretrain/pretrain, fast", \
  data index 4 using 1:4 with linespoints pointtype 9 pointsize 1.3 linewidth 1.5 linecolor rgb '#D55E00' notitle, \
  data index 5 using 1:4 with lines dashtype 2 linewidth 1.8 linecolor rgb '#D55E00' notitle, \
  data index 6 using 1:4 with linespoints pointtype 7 pointsize 1.1 linewidth 1.5 linecolor rgb '#009E73' title "..datasets/gpt-pretrain/pretrain, check-n-run", \
  data index 7 using 1:4 with linespoints pointtype 9 pointsize 1.3 linewidth 1.5 linecolor rgb '#009E73' notitle, \
  data index 8 using 1:4 with lines dashtype 2 linewidth 1.8 linecolor rgb '#009E73' notitle
set title 'restoring a step, mean'
set ylabel 'seconds'
set key off
plot \
  data index 0 using 1:5 with linespoints pointtype 7 pointsize 1.1 linewidth 1.5 linecolor rgb '#0072B2' title "..datasets/gpt-pretrain/pretrain, balanced", \
  data index 1 using 1:5 with linespoints pointtype 9 pointsize 1.3 linewidth 1.5 linecolor rgb '#0072B2' notitle, \
  data index 2 using 1:5 with lines dashtype 2 linewidth 1.8 linecolor rgb '#0072B2' notitle, \
  data index 3 using 1:5 with linespoints pointtype 7 pointsize 1.1 linewidth 1.5 linecolor rgb '#D55E00' title "..datasets/gpt-pretrain/pretrain, fast", \
  data index 4 using 1:5 with linespoints pointtype 9 pointsize 1.3 linewidth 1.5 linecolor rgb '#D55E00' notitle, \
  data index 5 using 1:5 with lines dashtype 2 linewidth 1.8 linecolor rgb '#D55E00' notitle, \
  data index 6 using 1:5 with linespoints pointtype 7 pointsize 1.1 linewidth 1.5 linecolor rgb '#009E73' title "..datasets/gpt-pretrain/pretrain, check-n-run", \
  data index 7 using 1:5 with linespoints pointtype 9 pointsize 1.3 linewidth 1.5 linecolor rgb '#009E73' notitle, \
  data index 8 using 1:5 with lines dashtype 2 linewidth 1.8 linecolor rgb '#009E73' notitle
unset multiplot
