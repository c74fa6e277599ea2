/* The tables of rans_shuffles.h: a number for each mask, a hexadecimal digit for each byte of its row. */
#include "codecs/rans/rans_shuffles.h"

/* 8: no byte; 128 makes a shuffle write 0. */
#define INDEX(digits, shift, offset) \
    (uint8_t)((digits) >> (shift)&8 ? 128 : ((digits) >> (shift)&7) + (offset))
#define ROW(digits, offset)                                                                 \
    {                                                                                       \
        INDEX(digits, 28, offset), INDEX(digits, 24, offset), INDEX(digits, 20, offset),    \
            INDEX(digits, 16, offset), INDEX(digits, 12, offset), INDEX(digits, 8, offset), \
            INDEX(digits, 4, offset), INDEX(digits, 0, offset)                              \
    }

#define EXPAND(offset)                                                                                      \
    {                                                                                                       \
        ROW(0x88888888, offset), ROW(0x08888888, offset), ROW(0x80888888, offset), ROW(0x01888888, offset), \
            ROW(0x88088888, offset), ROW(0x08188888, offset), ROW(0x80188888, offset),                      \
            ROW(0x01288888, offset), ROW(0x88808888, offset), ROW(0x08818888, offset),                      \
            ROW(0x80818888, offset), ROW(0x01828888, offset), ROW(0x88018888, offset),                      \
            ROW(0x08128888, offset), ROW(0x80128888, offset), ROW(0x01238888, offset),                      \
            ROW(0x88880888, offset), ROW(0x08881888, offset), ROW(0x80881888, offset),                      \
            ROW(0x01882888, offset), ROW(0x88081888, offset), ROW(0x08182888, offset),                      \
            ROW(0x80182888, offset), ROW(0x01283888, offset), ROW(0x88801888, offset),                      \
            ROW(0x08812888, offset), ROW(0x80812888, offset), ROW(0x01823888, offset),                      \
            ROW(0x88012888, offset), ROW(0x08123888, offset), ROW(0x80123888, offset),                      \
            ROW(0x01234888, offset), ROW(0x88888088, offset), ROW(0x08888188, offset),                      \
            ROW(0x80888188, offset), ROW(0x01888288, offset), ROW(0x88088188, offset),                      \
            ROW(0x08188288, offset), ROW(0x80188288, offset), ROW(0x01288388, offset),                      \
            ROW(0x88808188, offset), ROW(0x08818288, offset), ROW(0x80818288, offset),                      \
            ROW(0x01828388, offset), ROW(0x88018288, offset), ROW(0x08128388, offset),                      \
            ROW(0x80128388, offset), ROW(0x01238488, offset), ROW(0x88880188, offset),                      \
            ROW(0x08881288, offset), ROW(0x80881288, offset), ROW(0x01882388, offset),                      \
            ROW(0x88081288, offset), ROW(0x08182388, offset), ROW(0x80182388, offset),                      \
            ROW(0x01283488, offset), ROW(0x88801288, offset), ROW(0x08812388, offset),                      \
            ROW(0x80812388, offset), ROW(0x01823488, offset), ROW(0x88012388, offset),                      \
            ROW(0x08123488, offset), ROW(0x80123488, offset), ROW(0x01234588, offset),                      \
            ROW(0x88888808, offset), ROW(0x08888818, offset), ROW(0x80888818, offset),                      \
            ROW(0x01888828, offset), ROW(0x88088818, offset), ROW(0x08188828, offset),                      \
            ROW(0x80188828, offset), ROW(0x01288838, offset), ROW(0x88808818, offset),                      \
            ROW(0x08818828, offset), ROW(0x80818828, offset), ROW(0x01828838, offset),                      \
            ROW(0x88018828, offset), ROW(0x08128838, offset), ROW(0x80128838, offset),                      \
            ROW(0x01238848, offset), ROW(0x88880818, offset), ROW(0x08881828, offset),                      \
            ROW(0x80881828, offset), ROW(0x01882838, offset), ROW(0x88081828, offset),                      \
            ROW(0x08182838, offset), ROW(0x80182838, offset), ROW(0x01283848, offset),                      \
            ROW(0x88801828, offset), ROW(0x08812838, offset), ROW(0x80812838, offset),                      \
            ROW(0x01823848, offset), ROW(0x88012838, offset), ROW(0x08123848, offset),                      \
            ROW(0x80123848, offset), ROW(0x01234858, offset), ROW(0x88888018, offset),                      \
            ROW(0x08888128, offset), ROW(0x80888128, offset), ROW(0x01888238, offset),                      \
            ROW(0x88088128, offset), ROW(0x08188238, offset), ROW(0x80188238, offset),                      \
            ROW(0x01288348, offset), ROW(0x88808128, offset), ROW(0x08818238, offset),                      \
            ROW(0x80818238, offset), ROW(0x01828348, offset), ROW(0x88018238, offset),                      \
            ROW(0x08128348, offset), ROW(0x80128348, offset), ROW(0x01238458, offset),                      \
            ROW(0x88880128, offset), ROW(0x08881238, offset), ROW(0x80881238, offset),                      \
            ROW(0x01882348, offset), ROW(0x88081238, offset), ROW(0x08182348, offset),                      \
            ROW(0x80182348, offset), ROW(0x01283458, offset), ROW(0x88801238, offset),                      \
            ROW(0x08812348, offset), ROW(0x80812348, offset), ROW(0x01823458, offset),                      \
            ROW(0x88012348, offset), ROW(0x08123458, offset), ROW(0x80123458, offset),                      \
            ROW(0x01234568, offset), ROW(0x88888880, offset), ROW(0x08888881, offset),                      \
            ROW(0x80888881, offset), ROW(0x01888882, offset), ROW(0x88088881, offset),                      \
            ROW(0x08188882, offset), ROW(0x80188882, offset), ROW(0x01288883, offset),                      \
            ROW(0x88808881, offset), ROW(0x08818882, offset), ROW(0x80818882, offset),                      \
            ROW(0x01828883, offset), ROW(0x88018882, offset), ROW(0x08128883, offset),                      \
            ROW(0x80128883, offset), ROW(0x01238884, offset), ROW(0x88880881, offset),                      \
            ROW(0x08881882, offset), ROW(0x80881882, offset), ROW(0x01882883, offset),                      \
            ROW(0x88081882, offset), ROW(0x08182883, offset), ROW(0x80182883, offset),                      \
            ROW(0x01283884, offset), ROW(0x88801882, offset), ROW(0x08812883, offset),                      \
            ROW(0x80812883, offset), ROW(0x01823884, offset), ROW(0x88012883, offset),                      \
            ROW(0x08123884, offset), ROW(0x80123884, offset), ROW(0x01234885, offset),                      \
            ROW(0x88888081, offset), ROW(0x08888182, offset), ROW(0x80888182, offset),                      \
            ROW(0x01888283, offset), ROW(0x88088182, offset), ROW(0x08188283, offset),                      \
            ROW(0x80188283, offset), ROW(0x01288384, offset), ROW(0x88808182, offset),                      \
            ROW(0x08818283, offset), ROW(0x80818283, offset), ROW(0x01828384, offset),                      \
            ROW(0x88018283, offset), ROW(0x08128384, offset), ROW(0x80128384, offset),                      \
            ROW(0x01238485, offset), ROW(0x88880182, offset), ROW(0x08881283, offset),                      \
            ROW(0x80881283, offset), ROW(0x01882384, offset), ROW(0x88081283, offset),                      \
            ROW(0x08182384, offset), ROW(0x80182384, offset), ROW(0x01283485, offset),                      \
            ROW(0x88801283, offset), ROW(0x08812384, offset), ROW(0x80812384, offset),                      \
            ROW(0x01823485, offset), ROW(0x88012384, offset), ROW(0x08123485, offset),                      \
            ROW(0x80123485, offset), ROW(0x01234586, offset), ROW(0x88888801, offset),                      \
            ROW(0x08888812, offset), ROW(0x80888812, offset), ROW(0x01888823, offset),                      \
            ROW(0x88088812, offset), ROW(0x08188823, offset), ROW(0x80188823, offset),                      \
            ROW(0x01288834, offset), ROW(0x88808812, offset), ROW(0x08818823, offset),                      \
            ROW(0x80818823, offset), ROW(0x01828834, offset), ROW(0x88018823, offset),                      \
            ROW(0x08128834, offset), ROW(0x80128834, offset), ROW(0x01238845, offset),                      \
            ROW(0x88880812, offset), ROW(0x08881823, offset), ROW(0x80881823, offset),                      \
            ROW(0x01882834, offset), ROW(0x88081823, offset), ROW(0x08182834, offset),                      \
            ROW(0x80182834, offset), ROW(0x01283845, offset), ROW(0x88801823, offset),                      \
            ROW(0x08812834, offset), ROW(0x80812834, offset), ROW(0x01823845, offset),                      \
            ROW(0x88012834, offset), ROW(0x08123845, offset), ROW(0x80123845, offset),                      \
            ROW(0x01234856, offset), ROW(0x88888012, offset), ROW(0x08888123, offset),                      \
            ROW(0x80888123, offset), ROW(0x01888234, offset), ROW(0x88088123, offset),                      \
            ROW(0x08188234, offset), ROW(0x80188234, offset), ROW(0x01288345, offset),                      \
            ROW(0x88808123, offset), ROW(0x08818234, offset), ROW(0x80818234, offset),                      \
            ROW(0x01828345, offset), ROW(0x88018234, offset), ROW(0x08128345, offset),                      \
            ROW(0x80128345, offset), ROW(0x01238456, offset), ROW(0x88880123, offset),                      \
            ROW(0x08881234, offset), ROW(0x80881234, offset), ROW(0x01882345, offset),                      \
            ROW(0x88081234, offset), ROW(0x08182345, offset), ROW(0x80182345, offset),                      \
            ROW(0x01283456, offset), ROW(0x88801234, offset), ROW(0x08812345, offset),                      \
            ROW(0x80812345, offset), ROW(0x01823456, offset), ROW(0x88012345, offset),                      \
            ROW(0x08123456, offset), ROW(0x80123456, offset), ROW(0x01234567, offset)                       \
    }

#define COMPRESS(offset)                                                                                    \
    {                                                                                                       \
        ROW(0x88888888, offset), ROW(0x88888880, offset), ROW(0x88888881, offset), ROW(0x88888801, offset), \
            ROW(0x88888882, offset), ROW(0x88888802, offset), ROW(0x88888812, offset),                      \
            ROW(0x88888012, offset), ROW(0x88888883, offset), ROW(0x88888803, offset),                      \
            ROW(0x88888813, offset), ROW(0x88888013, offset), ROW(0x88888823, offset),                      \
            ROW(0x88888023, offset), ROW(0x88888123, offset), ROW(0x88880123, offset),                      \
            ROW(0x88888884, offset), ROW(0x88888804, offset), ROW(0x88888814, offset),                      \
            ROW(0x88888014, offset), ROW(0x88888824, offset), ROW(0x88888024, offset),                      \
            ROW(0x88888124, offset), ROW(0x88880124, offset), ROW(0x88888834, offset),                      \
            ROW(0x88888034, offset), ROW(0x88888134, offset), ROW(0x88880134, offset),                      \
            ROW(0x88888234, offset), ROW(0x88880234, offset), ROW(0x88881234, offset),                      \
            ROW(0x88801234, offset), ROW(0x88888885, offset), ROW(0x88888805, offset),                      \
            ROW(0x88888815, offset), ROW(0x88888015, offset), ROW(0x88888825, offset),                      \
            ROW(0x88888025, offset), ROW(0x88888125, offset), ROW(0x88880125, offset),                      \
            ROW(0x88888835, offset), ROW(0x88888035, offset), ROW(0x88888135, offset),                      \
            ROW(0x88880135, offset), ROW(0x88888235, offset), ROW(0x88880235, offset),                      \
            ROW(0x88881235, offset), ROW(0x88801235, offset), ROW(0x88888845, offset),                      \
            ROW(0x88888045, offset), ROW(0x88888145, offset), ROW(0x88880145, offset),                      \
            ROW(0x88888245, offset), ROW(0x88880245, offset), ROW(0x88881245, offset),                      \
            ROW(0x88801245, offset), ROW(0x88888345, offset), ROW(0x88880345, offset),                      \
            ROW(0x88881345, offset), ROW(0x88801345, offset), ROW(0x88882345, offset),                      \
            ROW(0x88802345, offset), ROW(0x88812345, offset), ROW(0x88012345, offset),                      \
            ROW(0x88888886, offset), ROW(0x88888806, offset), ROW(0x88888816, offset),                      \
            ROW(0x88888016, offset), ROW(0x88888826, offset), ROW(0x88888026, offset),                      \
            ROW(0x88888126, offset), ROW(0x88880126, offset), ROW(0x88888836, offset),                      \
            ROW(0x88888036, offset), ROW(0x88888136, offset), ROW(0x88880136, offset),                      \
            ROW(0x88888236, offset), ROW(0x88880236, offset), ROW(0x88881236, offset),                      \
            ROW(0x88801236, offset), ROW(0x88888846, offset), ROW(0x88888046, offset),                      \
            ROW(0x88888146, offset), ROW(0x88880146, offset), ROW(0x88888246, offset),                      \
            ROW(0x88880246, offset), ROW(0x88881246, offset), ROW(0x88801246, offset),                      \
            ROW(0x88888346, offset), ROW(0x88880346, offset), ROW(0x88881346, offset),                      \
            ROW(0x88801346, offset), ROW(0x88882346, offset), ROW(0x88802346, offset),                      \
            ROW(0x88812346, offset), ROW(0x88012346, offset), ROW(0x88888856, offset),                      \
            ROW(0x88888056, offset), ROW(0x88888156, offset), ROW(0x88880156, offset),                      \
            ROW(0x88888256, offset), ROW(0x88880256, offset), ROW(0x88881256, offset),                      \
            ROW(0x88801256, offset), ROW(0x88888356, offset), ROW(0x88880356, offset),                      \
            ROW(0x88881356, offset), ROW(0x88801356, offset), ROW(0x88882356, offset),                      \
            ROW(0x88802356, offset), ROW(0x88812356, offset), ROW(0x88012356, offset),                      \
            ROW(0x88888456, offset), ROW(0x88880456, offset), ROW(0x88881456, offset),                      \
            ROW(0x88801456, offset), ROW(0x88882456, offset), ROW(0x88802456, offset),                      \
            ROW(0x88812456, offset), ROW(0x88012456, offset), ROW(0x88883456, offset),                      \
            ROW(0x88803456, offset), ROW(0x88813456, offset), ROW(0x88013456, offset),                      \
            ROW(0x88823456, offset), ROW(0x88023456, offset), ROW(0x88123456, offset),                      \
            ROW(0x80123456, offset), ROW(0x88888887, offset), ROW(0x88888807, offset),                      \
            ROW(0x88888817, offset), ROW(0x88888017, offset), ROW(0x88888827, offset),                      \
            ROW(0x88888027, offset), ROW(0x88888127, offset), ROW(0x88880127, offset),                      \
            ROW(0x88888837, offset), ROW(0x88888037, offset), ROW(0x88888137, offset),                      \
            ROW(0x88880137, offset), ROW(0x88888237, offset), ROW(0x88880237, offset),                      \
            ROW(0x88881237, offset), ROW(0x88801237, offset), ROW(0x88888847, offset),                      \
            ROW(0x88888047, offset), ROW(0x88888147, offset), ROW(0x88880147, offset),                      \
            ROW(0x88888247, offset), ROW(0x88880247, offset), ROW(0x88881247, offset),                      \
            ROW(0x88801247, offset), ROW(0x88888347, offset), ROW(0x88880347, offset),                      \
            ROW(0x88881347, offset), ROW(0x88801347, offset), ROW(0x88882347, offset),                      \
            ROW(0x88802347, offset), ROW(0x88812347, offset), ROW(0x88012347, offset),                      \
            ROW(0x88888857, offset), ROW(0x88888057, offset), ROW(0x88888157, offset),                      \
            ROW(0x88880157, offset), ROW(0x88888257, offset), ROW(0x88880257, offset),                      \
            ROW(0x88881257, offset), ROW(0x88801257, offset), ROW(0x88888357, offset),                      \
            ROW(0x88880357, offset), ROW(0x88881357, offset), ROW(0x88801357, offset),                      \
            ROW(0x88882357, offset), ROW(0x88802357, offset), ROW(0x88812357, offset),                      \
            ROW(0x88012357, offset), ROW(0x88888457, offset), ROW(0x88880457, offset),                      \
            ROW(0x88881457, offset), ROW(0x88801457, offset), ROW(0x88882457, offset),                      \
            ROW(0x88802457, offset), ROW(0x88812457, offset), ROW(0x88012457, offset),                      \
            ROW(0x88883457, offset), ROW(0x88803457, offset), ROW(0x88813457, offset),                      \
            ROW(0x88013457, offset), ROW(0x88823457, offset), ROW(0x88023457, offset),                      \
            ROW(0x88123457, offset), ROW(0x80123457, offset), ROW(0x88888867, offset),                      \
            ROW(0x88888067, offset), ROW(0x88888167, offset), ROW(0x88880167, offset),                      \
            ROW(0x88888267, offset), ROW(0x88880267, offset), ROW(0x88881267, offset),                      \
            ROW(0x88801267, offset), ROW(0x88888367, offset), ROW(0x88880367, offset),                      \
            ROW(0x88881367, offset), ROW(0x88801367, offset), ROW(0x88882367, offset),                      \
            ROW(0x88802367, offset), ROW(0x88812367, offset), ROW(0x88012367, offset),                      \
            ROW(0x88888467, offset), ROW(0x88880467, offset), ROW(0x88881467, offset),                      \
            ROW(0x88801467, offset), ROW(0x88882467, offset), ROW(0x88802467, offset),                      \
            ROW(0x88812467, offset), ROW(0x88012467, offset), ROW(0x88883467, offset),                      \
            ROW(0x88803467, offset), ROW(0x88813467, offset), ROW(0x88013467, offset),                      \
            ROW(0x88823467, offset), ROW(0x88023467, offset), ROW(0x88123467, offset),                      \
            ROW(0x80123467, offset), ROW(0x88888567, offset), ROW(0x88880567, offset),                      \
            ROW(0x88881567, offset), ROW(0x88801567, offset), ROW(0x88882567, offset),                      \
            ROW(0x88802567, offset), ROW(0x88812567, offset), ROW(0x88012567, offset),                      \
            ROW(0x88883567, offset), ROW(0x88803567, offset), ROW(0x88813567, offset),                      \
            ROW(0x88013567, offset), ROW(0x88823567, offset), ROW(0x88023567, offset),                      \
            ROW(0x88123567, offset), ROW(0x80123567, offset), ROW(0x88884567, offset),                      \
            ROW(0x88804567, offset), ROW(0x88814567, offset), ROW(0x88014567, offset),                      \
            ROW(0x88824567, offset), ROW(0x88024567, offset), ROW(0x88124567, offset),                      \
            ROW(0x80124567, offset), ROW(0x88834567, offset), ROW(0x88034567, offset),                      \
            ROW(0x88134567, offset), ROW(0x80134567, offset), ROW(0x88234567, offset),                      \
            ROW(0x80234567, offset), ROW(0x81234567, offset), ROW(0x01234567, offset)                       \
    }

const struct mth_rans_shuffles mth_rans_expand = {EXPAND(0), EXPAND(8)};
const struct mth_rans_shuffles mth_rans_compress = {COMPRESS(0), COMPRESS(8)};
