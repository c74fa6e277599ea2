# Drawn by gnuplot from ratio_throughput.dat: gnuplot THIS_FILE, in its directory.
set terminal pngcairo size 990,1533 font 'sans-serif,8' fontscale 3.125 linewidth 3.4 pointscale 1.6
small = ',7'
set key spacing 1 width 0
set output 'ratio_throughput.png'
data = 'ratio_throughput.dat'
set grid xtics ytics linetype 1 linewidth 0.5 linecolor rgb '#dddddd'
set border 3 linewidth 0.7
set tics nomirror
set format x '%g'
set format y '%g'
set xtics add (0.02, 0.05, 0.2, 0.5, 2, 5, 20, 50, 200, 500)
set ytics add (0.2, 0.5, 2, 5, 20, 50, 200, 500)
set logscale xy
set xtics (0.001, 0.01, 0.1, 0.3, 1, 2.5, 5, 10, 20, 50, 100, 200)
set multiplot layout 2,1 margins 0.15,0.975,0.265,0.985 spacing 0.025
set xrange [0.0627269:13.6133]
set yrange [0.826087:27.3387]
set object 3 rectangle from 2.5,10 to graph 1,graph 1 fillcolor rgb '#009E73' fillstyle solid 0.12 border rgb '#005a40' linewidth 0.7 behind
set label 9 'target' at 2.6,11 left font small textcolor rgb '#005a40'
set arrow from 0.0627269,1.11855 to 13.6133,1.11855 nohead dashtype 2 linewidth 0.7 linecolor rgb '#0072B2' back
set arrow from 0.0627269,1.19913 to 13.6133,1.19913 nohead dashtype 2 linewidth 0.7 linecolor rgb '#D55E00' back
set arrow from 0.0627269,1.49714 to 13.6133,1.49714 nohead dashtype 2 linewidth 0.7 linecolor rgb '#009E73' back
set arrow from 0.0627269,1.38953 to 13.6133,1.38953 nohead dashtype 2 linewidth 0.7 linecolor rgb '#CC79A7' back
set arrow from 0.0627269,18.2258 to 13.6133,18.2258 nohead dashtype 2 linewidth 0.7 linecolor rgb '#56B4E9' back
set arrow from 0.0627269,6.26541 to 13.6133,6.26541 nohead dashtype 2 linewidth 0.7 linecolor rgb '#E69F00' back
set object 2 rectangle from 5.79314,graph 0 to 9.72375,graph 1 fillcolor rgb '#888888' fillstyle solid 0.15 noborder behind
set arrow from 9.72375,graph 0 to 9.72375,graph 1 nohead linewidth 1 linecolor rgb '#888888' back
set label 8 'memcpy' at 5.79314,graph 0.03 left rotate by 90 offset -0.5,0 font small textcolor rgb '#555555'
set ylabel 'ratio, compressing' offset 0.5,0
set format x ''
unset key
plot \
  data index 1 using 1:2 with points pointtype 7 pointsize 0.5 linewidth 0.6 linecolor rgb '#0072B2' notitle, \
  data index 0 using 1:2:3:4 with xerrorbars pointtype 7 pointsize 0.9 linewidth 1 linecolor rgb '#0072B2' notitle, \
  data index 0 using 1:2 with linespoints pointtype 7 pointsize 0.9 dashtype 1 linewidth 1.2 linecolor rgb '#0072B2' title "small-gpt/training, alone" noenhanced, \
  data index 5 using 1:2 with points pointtype 4 pointsize 0.5 linewidth 0.6 linecolor rgb '#D55E00' notitle, \
  data index 4 using 1:2:3:4 with xerrorbars pointtype 4 pointsize 0.9 linewidth 1 linecolor rgb '#D55E00' notitle, \
  data index 4 using 1:2 with linespoints pointtype 4 pointsize 0.9 dashtype 2 linewidth 1.2 linecolor rgb '#D55E00' title "small-gpt/fp32, alone" noenhanced, \
  data index 9 using 1:2 with points pointtype 8 pointsize 0.5 linewidth 0.6 linecolor rgb '#009E73' notitle, \
  data index 8 using 1:2:3:4 with xerrorbars pointtype 8 pointsize 0.9 linewidth 1 linecolor rgb '#009E73' notitle, \
  data index 8 using 1:2 with linespoints pointtype 8 pointsize 0.9 dashtype 3 linewidth 1.2 linecolor rgb '#009E73' title "small-gpt, alone" noenhanced, \
  data index 13 using 1:2 with points pointtype 12 pointsize 0.5 linewidth 0.6 linecolor rgb '#CC79A7' notitle, \
  data index 12 using 1:2:3:4 with xerrorbars pointtype 12 pointsize 0.9 linewidth 1 linecolor rgb '#CC79A7' notitle, \
  data index 12 using 1:2 with linespoints pointtype 12 pointsize 0.9 dashtype 4 linewidth 1.2 linecolor rgb '#CC79A7' title "small-gpt/training-1, 1 step apart" noenhanced, \
  data index 17 using 1:2 with points pointtype 10 pointsize 0.5 linewidth 0.6 linecolor rgb '#56B4E9' notitle, \
  data index 16 using 1:2:3:4 with xerrorbars pointtype 10 pointsize 0.9 linewidth 1 linecolor rgb '#56B4E9' notitle, \
  data index 16 using 1:2 with linespoints pointtype 10 pointsize 0.9 dashtype 5 linewidth 1.2 linecolor rgb '#56B4E9' title "small-gpt/pretrain-1, 1 step apart" noenhanced, \
  data index 21 using 1:2 with points pointtype 2 pointsize 0.5 linewidth 0.6 linecolor rgb '#E69F00' notitle, \
  data index 20 using 1:2:3:4 with xerrorbars pointtype 2 pointsize 0.9 linewidth 1 linecolor rgb '#E69F00' notitle, \
  data index 20 using 1:2 with linespoints pointtype 2 pointsize 0.9 dashtype 1 linewidth 1.2 linecolor rgb '#E69F00' title "small-gpt/pretrain-10, 10 steps apart" noenhanced
set ylabel 'ratio, decompressing' offset 0.5,0
set format x '%g'
set xlabel 'throughput of the whole pipeline, GiB/s'
set key at screen 0.5,screen 0.002 bottom center vertical maxcols 1 Left reverse samplen 4
plot \
  data index 3 using 1:2 with points pointtype 7 pointsize 0.5 linewidth 0.6 linecolor rgb '#0072B2' notitle, \
  data index 2 using 1:2:3:4 with xerrorbars pointtype 7 pointsize 0.9 linewidth 1 linecolor rgb '#0072B2' notitle, \
  data index 2 using 1:2 with linespoints pointtype 7 pointsize 0.9 dashtype 1 linewidth 1.2 linecolor rgb '#0072B2' title "small-gpt/training, alone" noenhanced, \
  data index 7 using 1:2 with points pointtype 4 pointsize 0.5 linewidth 0.6 linecolor rgb '#D55E00' notitle, \
  data index 6 using 1:2:3:4 with xerrorbars pointtype 4 pointsize 0.9 linewidth 1 linecolor rgb '#D55E00' notitle, \
  data index 6 using 1:2 with linespoints pointtype 4 pointsize 0.9 dashtype 2 linewidth 1.2 linecolor rgb '#D55E00' title "small-gpt/fp32, alone" noenhanced, \
  data index 11 using 1:2 with points pointtype 8 pointsize 0.5 linewidth 0.6 linecolor rgb '#009E73' notitle, \
  data index 10 using 1:2:3:4 with xerrorbars pointtype 8 pointsize 0.9 linewidth 1 linecolor rgb '#009E73' notitle, \
  data index 10 using 1:2 with linespoints pointtype 8 pointsize 0.9 dashtype 3 linewidth 1.2 linecolor rgb '#009E73' title "small-gpt, alone" noenhanced, \
  data index 15 using 1:2 with points pointtype 12 pointsize 0.5 linewidth 0.6 linecolor rgb '#CC79A7' notitle, \
  data index 14 using 1:2:3:4 with xerrorbars pointtype 12 pointsize 0.9 linewidth 1 linecolor rgb '#CC79A7' notitle, \
  data index 14 using 1:2 with linespoints pointtype 12 pointsize 0.9 dashtype 4 linewidth 1.2 linecolor rgb '#CC79A7' title "small-gpt/training-1, 1 step apart" noenhanced, \
  data index 19 using 1:2 with points pointtype 10 pointsize 0.5 linewidth 0.6 linecolor rgb '#56B4E9' notitle, \
  data index 18 using 1:2:3:4 with xerrorbars pointtype 10 pointsize 0.9 linewidth 1 linecolor rgb '#56B4E9' notitle, \
  data index 18 using 1:2 with linespoints pointtype 10 pointsize 0.9 dashtype 5 linewidth 1.2 linecolor rgb '#56B4E9' title "small-gpt/pretrain-1, 1 step apart" noenhanced, \
  data index 23 using 1:2 with points pointtype 2 pointsize 0.5 linewidth 0.6 linecolor rgb '#E69F00' notitle, \
  data index 22 using 1:2:3:4 with xerrorbars pointtype 2 pointsize 0.9 linewidth 1 linecolor rgb '#E69F00' notitle, \
  data index 22 using 1:2 with linespoints pointtype 2 pointsize 0.9 dashtype 1 linewidth 1.2 linecolor rgb '#E69F00' title "small-gpt/pretrain-10, 10 steps apart" noenhanced
unset multiplot
