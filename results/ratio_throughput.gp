# Drawn by gnuplot from ratio_throughput.dat: gnuplot THIS_FILE, in its directory.
set terminal svg size 1180,720 font 'sans-serif,13' background '#ffffff'
set output 'ratio_throughput.svg'
data = 'ratio_throughput.dat'
set logscale xy
set grid xtics ytics mxtics mytics linecolor rgb '#dddddd', linecolor rgb '#eeeeee'
set xlabel 'throughput of the whole pipeline in memory, GiB/s'
set ylabel 'ratio, original over compressed'
set format x '%g'
set format y '%g'
set xtics add (0.05, 0.2, 0.5, 2.5, 5, 20, 50)
set ytics add (1, 1.5, 2, 3, 5, 20, 30, 50, 200)
set key bmargin center vertical maxrows 4 Left reverse samplen 1 font ',10' height 0.5
set tics nomirror
set border 3
set title 'open: compress, filled: decompress; dashed: bound of the dataset; shaded: both targets'
set xrange [0.00168588:9.28984]
set yrange [0.863636:300.409]
set object 3 rectangle from 2.5,10 to graph 1,graph 1 fillcolor rgb '#009E73' fillstyle solid 0.12 noborder behind
set label '>= 10x at >= 2.5 GiB/s' at graph 0.99,graph 0.97 right textcolor rgb '#006a4d'
set arrow from 0.00168588,1.51066 to 9.28984,1.51066 nohead dashtype 2 linewidth 1 linecolor rgb '#0072B2' back
set arrow from 0.00168588,1.50483 to 9.28984,1.50483 nohead dashtype 2 linewidth 1 linecolor rgb '#D55E00' back
set arrow from 0.00168588,1.49713 to 9.28984,1.49713 nohead dashtype 2 linewidth 1 linecolor rgb '#009E73' back
set arrow from 0.00168588,1.19912 to 9.28984,1.19912 nohead dashtype 2 linewidth 1 linecolor rgb '#CC79A7' back
set arrow from 0.00168588,1.20031 to 9.28984,1.20031 nohead dashtype 2 linewidth 1 linecolor rgb '#56B4E9' back
set arrow from 0.00168588,37.1043 to 9.28984,37.1043 nohead dashtype 2 linewidth 1 linecolor rgb '#E69F00' back
set arrow from 0.00168588,10.3974 to 9.28984,10.3974 nohead dashtype 2 linewidth 1 linecolor rgb '#000000' back
set arrow from 0.00168588,55.0216 to 9.28984,55.0216 nohead dashtype 2 linewidth 1 linecolor rgb '#0072B2' back
set arrow from 0.00168588,222.525 to 9.28984,222.525 nohead dashtype 2 linewidth 1 linecolor rgb '#D55E00' back
set arrow from 0.00168588,18.2226 to 9.28984,18.2226 nohead dashtype 2 linewidth 1 linecolor rgb '#009E73' back
set arrow from 0.00168588,6.26517 to 9.28984,6.26517 nohead dashtype 2 linewidth 1 linecolor rgb '#CC79A7' back
set object 2 rectangle from 5.25585,graph 0 to 6.6356,graph 1 fillcolor rgb '#888888' fillstyle solid 0.13 noborder behind
set arrow from 6.6356,graph 0 to 6.6356,graph 1 nohead linewidth 1.5 linecolor rgb '#999999' back
set label 'memcpy' at 6.6356,graph 0.45 right rotate by 90 offset 0.9,0 textcolor rgb '#555555'
plot \
  data index 0 using 1:2:3:4 with xerrorbars pointtype 8 pointsize 1.2 linewidth 1.3 linecolor rgb '#0072B2' notitle, \
  data index 1 using 1:2:3:4 with xerrorbars pointtype 7 pointsize 1.0 linewidth 1.3 linecolor rgb '#0072B2' title "small-model (synthetic-random), alone", \
  data index 2 using 1:2:5 with labels left offset 0.8,0.7 font ',9' noenhanced textcolor rgb '#0072B2' notitle, \
  data index 3 using 1:2:3:4 with xerrorbars pointtype 8 pointsize 1.2 linewidth 1.3 linecolor rgb '#D55E00' notitle, \
  data index 4 using 1:2:3:4 with xerrorbars pointtype 7 pointsize 1.0 linewidth 1.3 linecolor rgb '#D55E00' title "tiny-gpt (toy-trained), alone", \
  data index 5 using 1:2:5 with labels left offset 0.8,0.7 font ',9' noenhanced textcolor rgb '#D55E00' notitle, \
  data index 6 using 1:2:3:4 with xerrorbars pointtype 8 pointsize 1.2 linewidth 1.3 linecolor rgb '#009E73' notitle, \
  data index 7 using 1:2:3:4 with xerrorbars pointtype 7 pointsize 1.0 linewidth 1.3 linecolor rgb '#009E73' title "small-gpt (toy-trained), alone", \
  data index 8 using 1:2:5 with labels left offset 0.8,0.7 font ',9' noenhanced textcolor rgb '#009E73' notitle, \
  data index 9 using 1:2:3:4 with xerrorbars pointtype 8 pointsize 1.2 linewidth 1.3 linecolor rgb '#CC79A7' notitle, \
  data index 10 using 1:2:3:4 with xerrorbars pointtype 7 pointsize 1.0 linewidth 1.3 linecolor rgb '#CC79A7' title "small-gpt/fp32 (toy-trained), alone", \
  data index 11 using 1:2:5 with labels left offset 0.8,0.7 font ',9' noenhanced textcolor rgb '#CC79A7' notitle, \
  data index 12 using 1:2:3:4 with xerrorbars pointtype 8 pointsize 1.2 linewidth 1.3 linecolor rgb '#56B4E9' notitle, \
  data index 13 using 1:2:3:4 with xerrorbars pointtype 7 pointsize 1.0 linewidth 1.3 linecolor rgb '#56B4E9' title "minilm (real-trained), alone", \
  data index 14 using 1:2:5 with labels left offset 0.8,0.7 font ',9' noenhanced textcolor rgb '#56B4E9' notitle, \
  data index 15 using 1:2:3:4 with xerrorbars pointtype 8 pointsize 1.2 linewidth 1.3 linecolor rgb '#E69F00' notitle, \
  data index 16 using 1:2:3:4 with xerrorbars pointtype 7 pointsize 1.0 linewidth 1.3 linecolor rgb '#E69F00' title "tiny-gpt/pretrain-1 (toy-trained), 1 step apart", \
  data index 17 using 1:2:5 with labels left offset 0.8,0.7 font ',9' noenhanced textcolor rgb '#E69F00' notitle, \
  data index 18 using 1:2:3:4 with xerrorbars pointtype 8 pointsize 1.2 linewidth 1.3 linecolor rgb '#000000' notitle, \
  data index 19 using 1:2:3:4 with xerrorbars pointtype 7 pointsize 1.0 linewidth 1.3 linecolor rgb '#000000' title "tiny-gpt/pretrain-10 (toy-trained), 10 steps apart", \
  data index 20 using 1:2:5 with labels left offset 0.8,0.7 font ',9' noenhanced textcolor rgb '#000000' notitle, \
  data index 21 using 1:2:3:4 with xerrorbars pointtype 8 pointsize 1.2 linewidth 1.3 linecolor rgb '#0072B2' notitle, \
  data index 22 using 1:2:3:4 with xerrorbars pointtype 7 pointsize 1.0 linewidth 1.3 linecolor rgb '#0072B2' title "tiny-gpt/finetune-1e-5 (toy-trained), 1 step apart", \
  data index 23 using 1:2:5 with labels left offset 0.8,0.7 font ',9' noenhanced textcolor rgb '#0072B2' notitle, \
  data index 24 using 1:2:3:4 with xerrorbars pointtype 8 pointsize 1.2 linewidth 1.3 linecolor rgb '#D55E00' notitle, \
  data index 25 using 1:2:3:4 with xerrorbars pointtype 7 pointsize 1.0 linewidth 1.3 linecolor rgb '#D55E00' title "tiny-gpt/finetune-1e-6 (toy-trained), 1 step apart", \
  data index 26 using 1:2:5 with labels left offset 0.8,0.7 font ',9' noenhanced textcolor rgb '#D55E00' notitle, \
  data index 27 using 1:2:3:4 with xerrorbars pointtype 8 pointsize 1.2 linewidth 1.3 linecolor rgb '#009E73' notitle, \
  data index 28 using 1:2:3:4 with xerrorbars pointtype 7 pointsize 1.0 linewidth 1.3 linecolor rgb '#009E73' title "small-gpt/pretrain-1 (toy-trained), 1 step apart", \
  data index 29 using 1:2:5 with labels left offset 0.8,0.7 font ',9' noenhanced textcolor rgb '#009E73' notitle, \
  data index 30 using 1:2:3:4 with xerrorbars pointtype 8 pointsize 1.2 linewidth 1.3 linecolor rgb '#CC79A7' notitle, \
  data index 31 using 1:2:3:4 with xerrorbars pointtype 7 pointsize 1.0 linewidth 1.3 linecolor rgb '#CC79A7' title "small-gpt/pretrain-10 (toy-trained), 10 steps apart", \
  data index 32 using 1:2:5 with labels left offset 0.8,0.7 font ',9' noenhanced textcolor rgb '#CC79A7' notitle
